"""Health, metrics, public keys, the group, the terminal's own settings, the reference, the pages."""
