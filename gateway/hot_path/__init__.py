"""Code written for speed, and nothing else: the verify endpoint and its fast path through HTTP.

Its benchmarks are `make bench` (loadtest/bench/), whole scans through every part, and `python -m tests.measure_path`,
the gateway's own part without sockets. Each place written for speed names the one that measures it;
docs/explanation/performance.md has the figures. A change here is measured before and after, in turn. Nothing outside
this package is written like this unless it names its benchmark too.
"""
