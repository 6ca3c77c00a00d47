"""Processes: children, their supervision, sockets, orderly shutdown, the garbage collector."""
