"""One file per resource or verb of the HTTP contract; the hot one is gateway/verify.py."""
