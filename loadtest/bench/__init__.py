"""`make bench`: one scan against references, in one run and one table (docs/explanation/performance.md)."""
