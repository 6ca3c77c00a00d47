"""Live and past views of the ledger: a member's notices and history, statistics for operations."""
