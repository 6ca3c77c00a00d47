"""Places in a member's movements as text: ids of events, and cursors of the history."""

import base64
from typing import Final

from redemption.ledger.entries import Position
from redemption.live.history import Cursor

POSITION_CHARACTERS_MAX: Final = 40
_NUMBER_MAX: Final = 2**62


def position_text(position: Position) -> str:
    """Return the id of an event: the position of its entry in the stream."""
    return f"{position.ms}-{position.seq}"


def position_from(text: str) -> Position | None:
    """Return the position that an id names; None for any other text."""
    ms, dash, seq = text.partition("-")
    if len(text) > POSITION_CHARACTERS_MAX or not dash or not (ms.isascii() and ms.isdecimal()):
        return None
    if not (seq.isascii() and seq.isdecimal()) or int(ms) >= _NUMBER_MAX or int(seq) >= _NUMBER_MAX:
        return None
    return Position(int(ms), int(seq))


def cursor_text(cursor: Cursor) -> str:
    """Return a cursor, opaque to the caller, for `cursor_from`."""
    return base64.urlsafe_b64encode(f"{cursor.at_ms}-{position_text(cursor.position)}".encode()).decode().rstrip("=")


def cursor_from(text: str) -> Cursor | None:
    """Return what `cursor_text` made a cursor of; None for any other text."""
    if len(text) > 2 * POSITION_CHARACTERS_MAX or not text.isascii():
        return None
    try:
        at, _, rest = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode().partition("-")
    except ValueError:
        return None
    position = position_from(rest)
    if position is None or not (at.isascii() and at.isdecimal()) or len(at) > 13:
        return None
    return Cursor(int(at), position)
