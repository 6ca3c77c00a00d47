"""The ledger in PostgreSQL: stream entries, the writer, the checks."""
