"""Code written for speed, and nothing else: the verify endpoint and its fast path through HTTP.

Its benchmark is `make bench` (loadtest/bench/); what each short cut is worth stands beside it.
"""
