"""The only place that spells a key of the hot store.

Every key of a bucket carries the bucket's hash tag, `{b17}`, so that one scan is one slot on a cluster. The table below
is the whole key space; `ttl` says what removes a key. A test fails on a key that has no TTL and is not marked `kept`.

    {bN}:epoch              string   generation of this bucket's stream, 1 …               kept
    {bN}:ledger             stream   what happened, in order, for the ledger               kept, trimmed behind the watermark
    {bN}:member:<id>        hash     tier, name, status, codes_valid_from                  kept
    {bN}:lots:<id>          hash     <yyyymm>.<issuer> -> points                           kept
    {bN}:code:<n>:<slot>    hash     nonce or "digits" -> redemption id                    ttl
    {bN}:redemption:<id>    hash     the record of one redemption                          ttl
    {bN}:key:<terminal>:<k> hash     idempotency record of one terminal's key              ttl
    {bN}:claim:<terminal>:<k> string which body this key was first used with               ttl
    tong:buckets            string   number of buckets, fixed at install                   kept
"""

from typing import Final

BUCKETS_KEY: Final = "tong:buckets"


def tag(bucket: int) -> str:
    """The hash tag of a bucket, braces included."""
    return f"{{b{bucket}}}"


def epoch(bucket: int) -> str:
    return f"{{b{bucket}}}:epoch"


def ledger_stream(bucket: int) -> str:
    return f"{{b{bucket}}}:ledger"


def member(bucket: int, member_id: str) -> str:
    return f"{{b{bucket}}}:member:{member_id}"


def lots(bucket: int, member_id: str) -> str:
    return f"{{b{bucket}}}:lots:{member_id}"


def code(bucket: int, number: int, slot: int) -> str:
    return f"{{b{bucket}}}:code:{number}:{slot}"


def redemption(bucket: int, redemption_id: str) -> str:
    return f"{{b{bucket}}}:redemption:{redemption_id}"


def idempotency(bucket: int, terminal_id: str, key: str) -> str:
    return f"{{b{bucket}}}:key:{terminal_id}:{key}"


def claim(bucket: int, terminal_id: str, key: str) -> str:
    return f"{{b{bucket}}}:claim:{terminal_id}:{key}"
