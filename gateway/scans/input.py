"""Shared parsing and validation of terminal requests: key, code, bill, and problems for faults of the hot store."""

import hashlib
import re
from binascii import b2a_base64
from collections.abc import Awaitable
from typing import Final, TypeVar

from gateway.problems.documents import Problem, malformed, refused
from redemption.configuration.current import Terminal
from redemption.domain.codes import CodeUse
from redemption.domain.commands import Bill
from redemption.domain.limits import IDEMPOTENCY_KEY_CHARACTERS_MAX
from redemption.domain.outcomes import Outcome, Refusal
from redemption.hot.faults import HotStoreFault, NotSent, ServerRefused, TooManyInFlight
from redemption.known_keys import KeyRecord
from redemption.service import MemberMissing, Redemptions
from tokens.claims import CODE_LIFETIME_SECONDS, DIGITS_NONCE, CodeClaim, CodeRefusal, Refused, Standing
from tokens.codec import CodeReader
from tokens.offline import STEP_SECONDS

T = TypeVar("T")
REPLAYED_HEADER: Final = (b"idempotency-replayed", b"true")
_KEY: Final = re.compile(rf"[!-~]{{1,{IDEMPOTENCY_KEY_CHARACTERS_MAX}}}", re.ASCII)


def idempotency_key(value: str | None) -> str:
    """Return the idempotency key of a request. Raises `idempotency_key_missing`, also for a malformed one."""
    if value is None or _KEY.fullmatch(value) is None:
        what = "is missing" if value is None else "is malformed"
        raise Problem(
            "idempotency_key_missing",
            f"The header Idempotency-Key {what}: 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters, made "
            "before the first attempt and sent again with every retry",
            errors=[{"field": "header Idempotency-Key", "reason": what}],
        )
    return value


def fingerprint(operation: bytes, canonical: bytes) -> str:
    """Return the fingerprint of a request: 128 bits over the operation and the canonical encoding, in 22 characters of
    base64."""
    digest = hashlib.blake2b(canonical, digest_size=16, person=operation).digest()
    return b2a_base64(digest)[:22].decode()


async def read_code_unguessed(
    redemptions: Redemptions, terminal: Terminal, reader: CodeReader, text: str, now: float
) -> CodeClaim:
    """Return the genuine code behind a scanned text, valid or expired, for a call without a key.

    Counts 18 digits that the gateway never made, so that guessing ends, whichever call is used for it. A terminal or
    outlet that has guessed too often is refused genuine digits too: it must not learn that they are genuine.

    Raises `code_malformed`, `code_forged`, `rate_limited` and the faults of `ask_hot_store`.
    """
    claim = reader.read(text, now)
    if isinstance(claim, CodeClaim):
        wait = (
            await ask_hot_store(redemptions.count_guesses(terminal, guesses=0)) if claim.nonce == DIGITS_NONCE else None
        )
        if wait is None:
            return claim
    else:
        wait = await ask_hot_store(redemptions.count_guesses(terminal)) if claim.is_guess else None
        if wait is None:
            problem = Problem(f"code_{claim.reason.value}", claim.detail)
            problem.guess = claim.is_guess
            raise problem
    raise _guessed_too_often(wait)


async def read_code_of_key(
    redemptions: Redemptions,
    terminal: Terminal,
    reader: CodeReader,
    text: str,
    now: float,
    *,
    key: str,
    fingerprint: str,
) -> CodeClaim | KeyRecord:
    """Return the genuine code behind a scanned text; or, where none can be read, what the key stands for already.

    A terminal or outlet that has guessed too often is answered by its key only, for genuine digits too: it must not
    learn that they are genuine.

    Raises `code_malformed`, `code_forged`, `rate_limited` and the faults of `ask_hot_store`.
    """
    claim = reader.read(text, now)
    if isinstance(claim, Refused):
        return await settle_by_key(redemptions, terminal, claim, key=key, fingerprint=fingerprint)
    if claim.nonce != DIGITS_NONCE:
        return claim
    wait = await ask_hot_store(redemptions.count_guesses(terminal, guesses=0))
    if wait is None:
        return claim
    record = await ask_hot_store(redemptions.known_keys.find(terminal, key))
    if record is None:
        raise _guessed_too_often(wait)
    return record


async def settle_by_key(
    redemptions: Redemptions, terminal: Terminal, unread: Refused, *, key: str, fingerprint: str
) -> KeyRecord:
    """Return what a key stands for whose code cannot be read.

    The key comes before the code, so a repeat is answered however old, retired or revoked its code is by now, and is
    never counted as a guess. Where the key stands for nothing, the refusal is kept under it: with the fingerprint
    `TOMBSTONE` as a tombstone.

    Raises `code_malformed`, `code_forged`, `rate_limited` and the faults of `ask_hot_store`.
    """
    is_forged = unread.reason is CodeRefusal.FORGED
    refusal = Refusal(Outcome.CODE_FORGED if is_forged else Outcome.CODE_MALFORMED, detail=unread.detail)
    found = await ask_hot_store(
        redemptions.known_keys.settle(
            terminal, key, fingerprint, refusal, is_guess=unread.is_guess, was_ever_taken=is_forged
        )
    )
    if isinstance(found, Refusal):
        problem = refused(found)
        problem.guess = unread.is_guess and found.outcome is Outcome.CODE_FORGED and not found.replayed
        raise problem
    return found


async def repeat_of(redemptions: Redemptions, terminal: Terminal, key: str | None, fingerprint: str) -> bool:
    """Return whether this very request was decided under its key before. Raises the faults of `ask_hot_store`.

    For checks that come before the code and depend on the terminal's business: a repeat from before the terminal moved
    is answered by the key.
    """
    if key is None:
        return False
    record = await ask_hot_store(redemptions.known_keys.find(terminal, key))
    return record is not None and record.fingerprint == fingerprint


def _guessed_too_often(wait: int) -> Problem:
    return Problem("rate_limited", "Too many guessed codes", retry_after=max(1, wait), scope="guesses of digits")


def check_bill(bill: Bill | None, terminal: Terminal) -> None:
    """Raise `malformed` for a bill that contradicts itself or the business."""
    if bill is None:
        return
    if bill.currency != terminal.business.currency:
        raise malformed(f"this business bills in {terminal.business.currency}", "bill.currency")
    if sum(line.amount_minor for line in bill.lines) > bill.amount_minor:
        raise malformed("the sum of the lines is more than the bill's amount_minor", "bill.lines")


async def check_new_bill(
    redemptions: Redemptions, bill: Bill | None, terminal: Terminal, key: str | None, fingerprint: str
) -> None:
    """Raise `malformed` as `check_bill` does, unless the request was decided before.

    Its terminal may have moved since, and its key has the answer. Raises the faults of `ask_hot_store` too.
    """
    try:
        check_bill(bill, terminal)
    except Problem:
        if not await repeat_of(redemptions, terminal, key, fingerprint):
            raise


def code_use(claim: CodeClaim) -> CodeUse:
    """Return a genuine code as the domain uses it."""
    standing = claim.standing
    if claim.device_number is not None:
        expired = standing is Standing.EXPIRED or standing is Standing.NOT_YET
        revoked = standing is Standing.REVOKED
        return CodeUse(claim.member_number, claim.slot, claim.nonce, claim.slot * STEP_SECONDS, expired, revoked)
    return CodeUse(
        claim.member_number,
        claim.slot,
        claim.nonce,
        claim.expires_at - CODE_LIFETIME_SECONDS,
        standing is not Standing.VALID,
    )


async def ask_hot_store(call: Awaitable[T], *, changes: bool = True) -> T:
    """Await a use case and raise its faults as problems of the contract.

    Raises `overloaded`, `unavailable`; the latter with `outcome: unknown` only where a call that changes something may
    have arrived.
    """
    try:
        return await call
    except TooManyInFlight:
        raise Problem("overloaded", "The hot store has as many calls in hand as it can answer in time") from None
    except NotSent:
        raise Problem("unavailable", "The hot store cannot be reached; nothing was applied") from None
    except MemberMissing:
        raise Problem("unavailable", "The hot store does not have this member; nothing was applied") from None
    except ServerRefused as fault:
        if fault.surely_not_executed or fault.text.startswith("Function not found"):
            raise Problem("unavailable", "The hot store refused the call; nothing was applied") from None
        raise _unanswered(changes) from fault
    except (HotStoreFault, TimeoutError):
        raise _unanswered(changes) from None


def _unanswered(changes: bool) -> Problem:
    if not changes:
        return Problem("unavailable", "No answer from the hot store in time")
    detail = "No answer from the hot store in time: repeat with the same Idempotency-Key to learn what happened"
    return Problem("unavailable", detail, unknown=True)
