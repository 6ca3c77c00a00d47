"""People and programmes: members, levels, benefits, campaigns, and what follows from the ledger for them.

Knows the domain values of redemption and moves value only through its use cases. Knows no HTTP; redemption never
imports it. Each part is a folder with the same few files: `model`, `store` with its `.sql`, `service`, `rules`.
"""
