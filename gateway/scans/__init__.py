"""Parsing, validation and schemas of scans, shared by the endpoints of terminals."""
