"""The group's configuration: its file, its state in PostgreSQL, its load, and workers that follow it."""
