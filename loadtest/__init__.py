"""Load and audit from outside, over HTTP and SQL. May import tokens, never redemption."""
