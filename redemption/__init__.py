"""The domain: hot store, rules, ledger, settlement, members. Knows no HTTP and no JWT."""
