"""Members' devices that make codes without network, and which of them are revoked."""
