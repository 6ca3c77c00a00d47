"""Bodies, query parameters, responses, files, security headers and event streams."""
