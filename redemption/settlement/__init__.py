"""Settlement: agreements, lines, periods, netting and disputes over the ledger."""
