"""The HTTP edge: endpoints, settings, composition, command line. Knows tokens and redemption."""
