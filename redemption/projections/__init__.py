"""What is made of the ledger's rows: one reader, and projections that are fed by it."""
