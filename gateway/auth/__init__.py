"""Authentication: API keys, roles and scopes, access tokens, signed requests."""
