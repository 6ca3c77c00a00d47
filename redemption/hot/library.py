"""The function library of the hot store: assembled from functions/*.lua, named by its own content.

Guarantees: what a worker calls is byte for byte what it was built with. The library's name and every function's name
end in the digest of its source, so that two versions live side by side while workers are being replaced, and a missing
or older library shows as an unknown function before anything runs (docs/adr/0002).

A Lua file starts with a comment that is its contract: `-- keys:`, `-- args:` and `-- flags:` lines name what it takes,
in order. Assembling turns these into local names, so no function writes ARGV[7]; the Python side reads the same lines.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from importlib import resources

from redemption.domain import limits, records
from redemption.domain.outcomes import EarnCeiling, Outcome, RateSubject
from tokens.claims import DIGITS_NONCE

SHARED_FILES = ("prelude", "lifecycle")
FUNCTION_FILES = (
    "redeem",
    "capture",
    "void",
    "refund",
    "cancel",
    "sweep",
    "accrue",
    "reverse_accrual",
    "issue",
    "upsert_member",
    "read_member",
    "prepare",
    "next_free_slots",
    "count",
    "status",
    "guess",
    "reject",
)
"""Every function there is, by the name of its file."""

LUA_LIMITS = (
    "SAFE_INTEGER_MAX",
    "BUCKETS_MAX",
    "LEGS_MAX",
    "LOTS_MAX",
    "LOTS_READ_MAX",
    "PARTS_MAX",
    "TIERS_MAX",
    "MEMO_MAX",
    "SWEEP_MAX",
    "SLOT_SECONDS",
    "CODES_PER_REQUEST_MAX",
    "SLOTS_AHEAD_MAX",
    "POINTS_MAX",
    "REDEMPTION_RETENTION_SECONDS",
    "CODE_MARKER_SECONDS",
    "REFUSAL_MARK_SECONDS",
    "DUPLICATE_SECONDS",
    "RECENT_KEPT_CHARACTERS",
    "USES_SECONDS",
    "RATE_WINDOW_SECONDS",
    "RATE_SUBJECTS_MAX",
    "GUESS_WINDOW_SECONDS",
    "GUESSES_PER_TERMINAL",
    "GUESSES_PER_OUTLET",
    "GUESSES_IN_GROUP",
    "GUESSES_PER_TERMINAL_THEN",
    "GUESSES_PER_OUTLET_THEN",
    "SEEN_SECONDS",
    "EARNED_SECONDS",
    "BILL_SECONDS",
    "BILL_EARNINGS_MAX",
    "TOMBSTONES_PER_TERMINAL",
    "TOMBSTONES_PER_OUTLET",
    "CANCELLED_KEYS_MAX",
)
"""The limits the functions use, by their names in redemption/domain/limits.py."""

_HEADER_LINE = re.compile(r"^-- (keys|args|flags): (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Signature:
    """The contract of a function: names of keys and arguments in order, and its flags."""

    keys: tuple[str, ...]
    args: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def read_only(self) -> bool:
        """Return whether it may be called on a replica (FCALL_RO)."""
        return "no-writes" in self.flags


@dataclass(frozen=True)
class Library:
    """The assembled library. `functions` maps a file's name to its contract."""

    source_without_names: str
    functions: dict[str, Signature]

    @cached_property
    def digest(self) -> str:
        """Return twelve hexadecimal characters of SHA-256 over the source: the version of the library."""
        return hashlib.sha256(self.source_without_names.encode()).hexdigest()[:12]

    @cached_property
    def name(self) -> str:
        return f"tong_{self.digest}"

    @cached_property
    def source(self) -> str:
        """Return the text that FUNCTION LOAD takes."""
        return f"#!lua name={self.name}\n" + self.source_without_names.replace("@DIGEST@", self.digest)

    def function(self, name: str) -> str:
        """Return the registered name of a function: `redeem` is `redeem_<digest>`."""
        if name not in self.functions:
            raise KeyError(name)
        return f"{name}_{self.digest}"


def signature(lua: str) -> Signature:
    """Read the contract in a Lua file's opening comment."""
    words: dict[str, list[str]] = {"keys": [], "args": [], "flags": []}
    for kind, line in _HEADER_LINE.findall(lua):
        words[kind].extend(line.split())
    return Signature(tuple(words["keys"]), tuple(words["args"]), tuple(words["flags"]))


def _numbers(values: type[IntEnum]) -> str:
    return f"{{{', '.join(f'{value.name} = {value.value}' for value in values)}}}"


def _constants() -> str:
    """Return the constants that Lua and Python share, as Lua: numbered values, limits and the layout of records."""
    bounds = ", ".join(f"{name} = {getattr(limits, name)}" for name in LUA_LIMITS)
    fields = ", ".join(f"'{name}'" for name in records.RECORD_FIELDS)
    return (
        f"local OUTCOME = {_numbers(Outcome)}\n"
        f"local RATE_SUBJECT, EARN_CEILING = {_numbers(RateSubject)}, {_numbers(EarnCeiling)}\n"
        f"local LIMIT = {{{bounds}}}\n"
        f"local DIGITS_MARKER, DIGITS_USED = '{DIGITS_NONCE}', ',{DIGITS_NONCE},'\n"
        f"local RECORD_VERSION, RECORD_FIELDS = '{records.VERSION}', {{{fields}}}\n"
    )


def _registered(name: str, lua: str, contract: Signature) -> str:
    unpacked = ["if not call then bind() end"]
    for names, words in ((contract.keys, "KEYS"), (contract.args, "ARGV")):
        if names:
            unpacked.append(f"local {', '.join(names)} = unpack({words})")
    flags = ", ".join(f"'{flag}'" for flag in contract.flags)
    return (
        f"redis.register_function{{function_name = '{name}_@DIGEST@', flags = {{{flags}}}, "
        f"callback = function(KEYS, ARGV)\n" + "\n".join(unpacked) + f"\n{lua}\nend}}\n"
    )


def assemble(replacements: dict[str, str] | None = None) -> Library:
    """Build the library from the package's Lua files.

    `replacements` maps a file's name to another source: the controls of the race tests take a guard out with it.
    """
    folder = resources.files("redemption.hot") / "functions"

    def read(name: str) -> str:
        if replacements and name in replacements:
            return replacements[name]
        return (folder / f"{name}.lua").read_text(encoding="utf-8")

    parts = [_constants(), *(read(name) for name in SHARED_FILES)]
    functions: dict[str, Signature] = {}
    for name in FUNCTION_FILES:
        lua = read(name)
        functions[name] = signature(lua)
        parts.append(_registered(name, lua, functions[name]))
    return Library("\n".join(parts), functions)
