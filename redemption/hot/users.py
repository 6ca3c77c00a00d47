"""Users of the hot store and their rights: the rules of an ACL, defined once for every place that sets them.

Guarantees: no user but the owner may load or remove functions, run a script of its own, change the server's
configuration, list keys by KEYS, or flush; a gateway and a writer change a key only by the commands that
functions/*.lua use on keys of that kind, and delete none. `tong store-users valkey` prints these rules, the development
stack sets them, docs/explanation/security.md shows them; a test holds the three equal.

Not guaranteed, because no ACL of Valkey or Redis can say it: that a user calls HINCRBY only through a function.
Commands inside a function are checked against the rights of the user who calls it, so what a function needs must be
allowed (and what is not allowed would end it half-way: a test runs all of them as these users). A gateway that was
taken over can therefore move a balance without an entry, or trim a stream with an option of XADD; `tong audit` then
shows the difference (I7, I8; docs/explanation/security.md).
"""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

GATEWAY: Final = "tong_gateway"
WRITER: Final = "tong_writer"
OPERATIONS: Final = "tong_operations"

_READS: Final = (
    *("+get", "+mget", "+exists", "+ttl", "+hget", "+hmget", "+hgetall", "+hexists", "+hlen"),
    *("+zcard", "+zscore", "+zrangebyscore", "+xread", "+xrange", "+xrevrange", "+xlen", "+xinfo|stream"),
)
_CONNECTION: Final = ("+ping", "+select", "+client|setname", "+client|setinfo", "+info", "+time")
_SESSION: Final = ("+watch", "+unwatch", "+multi", "+exec", "+discard")


class Family(NamedTuple):
    """Kinds of keys (redemption/hot/keys.py) and the commands that the functions change them with."""

    keys: tuple[str, ...]
    commands: tuple[str, ...]

    def selector(self) -> str:
        return f"({' '.join([*self.commands, *(f'~{key}' for key in self.keys)])})"


WRITTEN_BY_FUNCTIONS: Final = (
    # Members' holdings have no EXPIRE and no DEL, so that they cannot be made to vanish.
    Family(("{b*}:lots:*", "{b*}:member:*"), ("+hset", "+hincrby", "+hdel")),
    Family(("{b*}:holds",), ("+zadd", "+zrem")),
    Family(("{b*}:ledger",), ("+xadd",)),
    Family(
        ("{b*}:accrual:*", "{b*}:uses:*", "{b*}:stay:*"),
        ("+hset", "+hincrby", "+expire"),
    ),
    Family(
        ("{b*}:code:*", "{b*}:redemption:*", "{b*}:key:*", "{b*}:recent:*", "{b*}:issued:*", "{b*}:bill:*"), ("+set",)
    ),
    Family(("{b*}:guess:*",), ("+incr", "+expire")),
    Family(("{b*}:earned:*",), ("+incrby", "+expire")),
    Family(("{b*}:cancelled:*",), ("+zadd", "+zremrangebyrank", "+expire")),
)
LIVE_FIGURES: Final = Family(("ops:*",), ("+xadd", "+set", "+pexpire"))
"""Statistics for operations, of no member and no value; workers write them (redemption/live/stats_store.py)."""
_CALLS: Final = "(+fcall +fcall_ro ~*)"
"""Any keys, because a function without a stay gets an empty name. Its commands are checked one by one."""


def _of_functions(*more: str) -> tuple[str, ...]:
    """Return the rules to read everything of a bucket, call functions, and change what functions change."""
    reads = ("resetchannels", "-@all", *_CONNECTION, *_READS, "%R~{b*}:*", "%R~ops:*")
    return (*reads, *more, _CALLS, *(family.selector() for family in WRITTEN_BY_FUNCTIONS))


RULES: Final[Mapping[str, tuple[str, ...]]] = {
    GATEWAY: _of_functions(LIVE_FIGURES.selector()),
    # The ledger writer carries streams away, freezes a bucket that contradicts the ledger, and ends holds.
    WRITER: _of_functions(*_SESSION, "(+xtrim ~{b*}:ledger)", "(+set ~{b*}:frozen ~ops:writer)"),
    # A person's tools are `tong load`, `tong members` and `tong audit`. They load no functions and flush nothing.
    OPERATIONS: (
        *("resetchannels", "-@all", *_CONNECTION, *_SESSION, "+@read", "+@write", "-@dangerous", "-@scripting"),
        *("+config|get", "+fcall", "+fcall_ro", "~{b*}:*", "~tong:*"),
    ),
}


def user_line(user: str, password: str) -> str:
    """Return a line of an ACL file or of valkey.conf. It has the password's SHA-256 only."""
    return f"user {user} reset on #{hashlib.sha256(password.encode()).hexdigest()} {' '.join(RULES[user])}"


def acl_file() -> str:
    """Return the ACL file of a production server, with a placeholder for each password: nothing secret is printed.

    The default user is the owner, for `tong migrate` and `tong rebuild`; nothing that serves runs as it.
    """
    owner = "user default reset on #SHA256_OF_ITS_PASSWORD ~* &* +@all"
    return "\n".join(
        [owner, *(f"user {user} reset on #SHA256_OF_ITS_PASSWORD {' '.join(rules)}" for user, rules in RULES.items())]
    )
