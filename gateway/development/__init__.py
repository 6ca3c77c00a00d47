"""The development stack: private servers, supervisor, demo group. Never imported by a worker."""
