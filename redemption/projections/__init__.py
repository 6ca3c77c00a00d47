"""Projections of the ledger's rows and the one reader that feeds them."""
