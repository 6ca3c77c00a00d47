"""What pages show of the ledger while it happens and afterwards: a member's notices and history, figures for
operations."""
