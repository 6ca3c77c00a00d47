"""Live statistics for operations staff."""
