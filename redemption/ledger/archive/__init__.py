"""Old months of the ledger: written to files, detached, dropped, restored."""
