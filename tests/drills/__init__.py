"""Fault drills: real processes under load, one fault each, and a judge that imports nothing of the product.

    python -m tests.drills [--list] [--only TEXT] [--seed N] [--mutations]

A drill starts a whole stack, lets tills work on it, journals every intent to disk before it is sent, injects one fault
at a seeded moment, lets the stack recover, repeats every unknown with its key, waits until nothing moves any more, and
judges I1 to I12 from the journal's file, the raw hot store and SQL (docs/explanation/reliability.md). Each promise
is the docstring of its drill.
"""
