"""Kinds of refusals and the problem documents (RFC 9457) made of them."""
