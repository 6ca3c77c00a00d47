"""Codes and keys: issue, verify, rotate. Knows no HTTP, no Redis, no PostgreSQL."""
