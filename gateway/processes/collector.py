"""Settings of Python's garbage collector in long-running processes."""

import gc
from typing import Final

THRESHOLD: Final = 20_000
BATCH_THRESHOLD: Final = 200_000
"""More objects than a batch of 2 000 ledger entries has in tuples and lists, none of which is garbage."""


def keep_what_is_loaded(threshold: int = THRESHOLD) -> None:
    """Freeze start-up objects and raise the collector's threshold.

    A scan makes a hundred objects and leaves no cycle behind; a batch of entries makes tens of thousands, which were
    traversed again and again while it grew (a ninth of the ledger writer's time). A full collection stops everything in
    hand.

    A scan makes a hundred and leaves no cycle behind; a batch of entries makes tens of thousands, which were gone
    through again and again while it grew (a ninth of the ledger writer's time). A full collection stops all that is in
    hand.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 20, 100)
