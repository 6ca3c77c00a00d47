"""Pages rendered on the server: no script, nothing from another host."""
