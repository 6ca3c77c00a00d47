"""Comparison of ledger, chain and hot store."""
