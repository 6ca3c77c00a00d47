"""The only place that spells a key of the hot store.

Every key of a bucket carries the bucket's hash tag, `{b17}`, so that one scan is one slot on a cluster. The table below
is the whole key space; `ttl` says what removes a key. A test fails on a key that has no TTL and is not marked `kept`.

    {bN}:epoch              string   generation of this bucket's stream, 1 …               kept
    {bN}:ledger             stream   what happened, in order, for the ledger               kept, trimmed
    {bN}:frozen             string   why nothing of value moves until a rebuild            kept
    {bN}:member:<id>        hash     level, name, status, codes_valid_from, numbers, last purchase   kept
    {bN}:lots:<id>          hash     <asset>/<yyyymm or ->.<business> -> amount            kept
    {bN}:holds              zset     redemption id -> deadline, ms                         kept
    {bN}:code:<n>:<slot>    string   ",<nonce or digits>,…": which codes of it were used   ttl
    {bN}:redemption:<id>    string   the record of one redemption (domain/records.py)      ttl
    {bN}:accrual:<id>       hash     the record of one accrual                             ttl
    {bN}:uses:<id>:<yyyymm> hash     benefit or benefit:day -> uses                        ttl
    {bN}:stay:<id>:<stay>   hash     benefit -> uses                                       ttl
    {bN}:recent:<id>:<o>    string   what an outlet's last scans of a member leave         ttl
    {bN}:key:<terminal>:<k> string   idempotency record of one terminal's key              ttl
    {bN}:issued:<id>        string   an issue that has been made                           ttl
    {bN}:guess:<subject>    string   digits that nobody made, tombstones of cancels        ttl
    {bN}:earned:<id>:<day>  string   points that a member or terminal earned in a day      ttl
    {bN}:bill:<outlet>:<h>  string   what a bill earned: "<amount>=<accrual id>;…"         ttl
    {bN}:cancelled:<id>     zset     keys of a terminal that were cancelled -> seconds     ttl
    tong:buckets            string   number of buckets, fixed at install                   kept
    tong:layout             string   version of the keys' layout (ADR 0009)                kept
    ops:reports             stream   what each worker counted in a second                  kept, trimmed
    ops:series              stream   figures over all workers, a sample a second           kept, trimmed
    ops:refusals            stream   the last refusals                                     kept, trimmed
    ops:board               string   what was counted up to some sample                    kept
    ops:leader              string   which worker makes the samples                        ttl
    ops:writer              string   the ledger writer's figures                           ttl
"""

import hashlib
import zlib
from typing import Final

BUCKETS_KEY: Final = "tong:buckets"
LAYOUT_KEY: Final = "tong:layout"
LAYOUT: Final = "2"


def tag(bucket: int) -> str:
    """Return the hash tag of a bucket, braces included."""
    return f"{{b{bucket}}}"


def epoch(bucket: int) -> str:
    return f"{{b{bucket}}}:epoch"


def ledger_stream(bucket: int) -> str:
    return f"{{b{bucket}}}:ledger"


def frozen(bucket: int) -> str:
    """Return the key beside the stream: functions find it from the stream's name."""
    return f"{{b{bucket}}}:frozen"


def member(bucket: int, member_id: str) -> str:
    return f"{{b{bucket}}}:member:{member_id}"


def lots(bucket: int, member_id: str) -> str:
    return f"{{b{bucket}}}:lots:{member_id}"


def holds(bucket: int) -> str:
    return f"{{b{bucket}}}:holds"


def accrual(bucket: int, accrual_id: str) -> str:
    return f"{{b{bucket}}}:accrual:{accrual_id}"


def uses(bucket: int, member_id: str) -> str:
    """Return a prefix; the function adds the month."""
    return f"{{b{bucket}}}:uses:{member_id}:"


def stay(bucket: int, member_id: str, business_id: str, stay_reference: str) -> str:
    """Return the key of a stay's counters, per business.

    The number is hashed, because a till's own number may hold anything.
    """
    digest = hashlib.blake2b(f"{business_id}\n{stay_reference}".encode(), digest_size=8).hexdigest()
    return f"{{b{bucket}}}:stay:{member_id}:{digest}"


def recent(bucket: int, member_id: str, outlet_id: str) -> str:
    return f"{{b{bucket}}}:recent:{member_id}:{outlet_id}"


def guess(bucket: int, subject: str) -> str:
    return f"{{b{bucket}}}:guess:{subject}"


def group_guesses(bucket: int) -> str:
    """Return the key of the whole group's guesses."""
    return f"{{b{bucket}}}:guess:group"


def tombstones(bucket: int, subject: str) -> str:
    """Return the key that counts cancels of a terminal or outlet which found nothing under their key."""
    return f"{{b{bucket}}}:guess:{subject}.cancel"


def earned(bucket: int, subject: str) -> str:
    """Return a prefix; the function adds the day, yyyymmdd."""
    return f"{{b{bucket}}}:earned:{subject}:"


def bill(bucket: int, outlet_id: str, reference: str) -> str:
    """Return the key of a bill, hashed, because a till's own number may hold anything."""
    digest = hashlib.blake2b(reference.encode(), digest_size=10).hexdigest()
    return f"{{b{bucket}}}:bill:{outlet_id}:{digest}"


def cancelled(bucket: int, terminal_id: str) -> str:
    return f"{{b{bucket}}}:cancelled:{terminal_id}"


def code_prefix(bucket: int, number: int) -> str:
    """Return a prefix; a function adds the slot."""
    return f"{{b{bucket}}}:code:{number}:"


def code(bucket: int, number: int, slot: int) -> str:
    return f"{{b{bucket}}}:code:{number}:{slot}"


def redemption(bucket: int, redemption_id: str) -> str:
    return f"{{b{bucket}}}:redemption:{redemption_id}"


def idempotency(bucket: int, terminal_id: str, key: str) -> str:
    return f"{{b{bucket}}}:key:{terminal_id}:{key}"


def bucket_of_terminal(terminal_id: str, buckets: int) -> int:
    """Return the bucket of a terminal's idempotency records on a single server (ADR 0003)."""
    return zlib.crc32(terminal_id.encode()) % buckets


def ops_reports() -> str:
    """Return the key of the reports for operations (redemption/live/stats_store.py): of no member, no bucket."""
    return "ops:reports"


def ops_series() -> str:
    return "ops:series"


def ops_refusals() -> str:
    return "ops:refusals"


def ops_board() -> str:
    return "ops:board"


def ops_leader() -> str:
    return "ops:leader"


def ops_writer() -> str:
    return "ops:writer"


def issued(bucket: int, issue_id: str) -> str:
    return f"{{b{bucket}}}:issued:{issue_id}"
