"""Settlement between businesses, and reconciliation of a till's day."""
