"""Faults of a call to the hot store, by what is known about its effect.

HotStoreFault            it did not work; what is known, the kinds below say
├── NotSent              nothing left this process: the call was surely not applied
│   └── TooManyInFlight  … because a bound was reached: refuse, do not queue
├── ReplyLost            it was handed to the socket and no reply came: it may have been applied
├── RecordMissing        a key says that something was applied, and the record of it is gone
└── ServerRefused        the server answered with an error; `code`, `text`, `surely_not_executed`
"""

from typing import Final

from redemption.domain.errors import StorageError

# The server says these before it runs a command, and inside a function never after its first write
# (scriptVerifyOOM, scriptVerifyWriteCommandAllow in Valkey's script.c). WRONGTYPE, NOPERM and ERR are missing on
# purpose: a function can meet them after it has written.
NOT_EXECUTED_CODES: Final = frozenset(
    {
        *("ASK", "CLUSTERDOWN", "CROSSSLOT", "MOVED", "TRYAGAIN"),
        *("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY"),
        *("EXECABORT", "NOAUTH", "NOSCRIPT", "WRONGPASS"),
    }
)


class HotStoreFault(StorageError):
    """A call to the hot store failed."""


class NotSent(HotStoreFault):
    """Nothing of the call left this process: it was surely not applied."""


class TooManyInFlight(NotSent):
    """Too many calls are in flight, or too many bytes wait in the socket: refused at once."""


class ReplyLost(HotStoreFault):
    """The call was sent and its reply is not known: it may have been applied, now or a little later."""


class RecordMissing(HotStoreFault):
    """An idempotency record names a redemption or accrual that the hot store does not have: data was lost."""


class ServerRefused(HotStoreFault):
    """The server answered with an error.

    `code` is its first word (BUSY, OOM, LOADING, WRONGTYPE …), `text` the rest.
    """

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.code, _, self.text = line.partition(" ")

    @property
    def surely_not_executed(self) -> bool:
        """Return True only where the server refused before anything was changed; False where that is not known."""
        # Errors that ended a running script carry "script: <name>, on <where>": those may follow writes.
        return self.code in NOT_EXECUTED_CODES and " script: " not in self.text
