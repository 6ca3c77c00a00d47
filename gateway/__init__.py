"""The HTTP edge: interface, composition, command line. Knows tokens and redemption; they do not know it."""
