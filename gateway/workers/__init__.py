"""Processes that run behind the gateway: ledger writer, sealer."""
