"""Ledger, chain and hot store held against each other."""
