"""The hot store (Valkey or Redis): keys, the multiplexed connection, the function library."""
