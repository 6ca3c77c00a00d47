"""Work of an operator: load a group, keys, members, migrations, audit, rebuild, archive, settlement.

Each function takes settings, opens its own stores and closes them. gateway/cli/ calls them.
"""
