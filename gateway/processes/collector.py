"""Python's garbage collector in the processes that work for long."""

import gc
from typing import Final

THRESHOLD: Final = 20_000
BATCH_THRESHOLD: Final = 200_000
"""Above what a batch of 2 000 ledger entries has at once in tuples and lists, none of which is garbage."""


def keep_what_is_loaded(threshold: int = THRESHOLD) -> None:
    """What is there now stays: the collector need not look at it again, nor at all after every 700 new objects.

    A scan makes a hundred and leaves no cycle behind; a batch of entries makes tens of thousands, which were gone
    through again and again while it grew (a ninth of the ledger writer's time). A full collection stops all that is in
    hand.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 20, 100)
