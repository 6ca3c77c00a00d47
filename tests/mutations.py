"""Guards of the functions, each as texts to replace: what stands there when the guard is taken out.

`python -m tests.run_mutations` takes out one after another and expects that a test fails.
"""

# ruff: noqa: E501 - the texts stand as they stand in the functions

from dataclasses import dataclass, field

Changes = dict[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class Mutation:
    """`bounds`: found by tests/support/engine/bounds.py instead of the state machine. `core`: runs with the suite."""

    guard: str
    changes: Changes = field(repr=False)
    bounds: bool = False
    core: bool = False


# Where nothing asks whether there is enough, taking must not stumble: it goes on below nothing.
_TAKES_MORE = [
    (
        "  local held = assets[asset]\n  if not held.first",
        "  local held = assets[asset] or {sum = 0}\n  if not held.first",
    ),
    (
        "    local lot = held[held.first]\n",
        "    local lot = held[held.first] or {'209912.hotel', 1000000, asset .. '/209912.hotel'}\n",
    ),
]
_OTHERS = " or record.business ~= business then return {call_id, OUTCOME.NOT_FOUND"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "redeem: idempotency check",
        {"redeem": [("if texts[2] then\n  local seen", "if false then\n  local seen")]},
        core=True,
    ),
    Mutation(
        "redeem: same key, other body",
        {
            "redeem": [
                (
                    "  if seen[1] ~= fingerprint then return answer(OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1, -1) end\n",
                    "",
                )
            ]
        },
    ),
    Mutation(
        "redeem: a cancelled redemption is not answered again",
        {"redeem": [("  if original.cancelled then", "  if false then")]},
    ),
    Mutation(
        "redeem: used-code marker, JWT",
        {"prelude": [("find(uses, ',' .. marker .. ',', 1, true) or find(uses, DIGITS_USED, 1, true)", "false")]},
        core=True,
    ),
    Mutation(
        "redeem: used-code marker, digits",
        {"prelude": [("  return marker == DIGITS_MARKER or find", "  return find")]},
    ),
    Mutation(
        "redeem: digits use up the JWT beside them",
        {"prelude": [(" or find(uses, DIGITS_USED, 1, true)\n", "\n")]},
    ),
    Mutation(
        "redeem: codes revoked",
        {"redeem": [("then consider(OUTCOME.CODE_REVOKED) end", "then end")]},
    ),
    Mutation(
        "redeem: member blocked",
        {"redeem": [("if state[3] == 'blocked' then consider(OUTCOME.MEMBER_BLOCKED) end\n", "")]},
    ),
    Mutation(
        "redeem: duplicate guard",
        {"redeem": [("  consider(OUTCOME.POSSIBLE_DUPLICATE)\n", "")]},
        core=True,
    ),
    Mutation(
        "redeem: funds, points",
        {"prelude": _TAKES_MORE, "redeem": [("    if wanted > sum_of(assets, 'points') then", "    if false then")]},
        core=True,
    ),
    Mutation(
        "redeem: funds and caps, benefits",
        {"prelude": _TAKES_MORE, "redeem": [("    if wanted > left then", "    if false then")]},
    ),
    Mutation(
        "redeem: cap per day",
        {"redeem": [("within(month_uses, id .. day_suffix, word[4], id)", "LIMIT.SAFE_INTEGER_MAX")]},
    ),
    Mutation("redeem: cap per month", {"redeem": [("within(month_uses, id, word[5], id)", "LIMIT.SAFE_INTEGER_MAX")]}),
    Mutation(
        "redeem: cap per stay",
        {"redeem": [("or within(stay, id, word[6], id))", "or LIMIT.SAFE_INTEGER_MAX)")]},
    ),
    Mutation(
        "redeem: funds, stored value",
        {"prelude": _TAKES_MORE, "redeem": [("    if wanted > sum_of(assets, currency) then", "    if false then")]},
    ),
    Mutation("redeem: rates", {"redeem": [("if exceeded then return", "if false then return")]}),
    Mutation(
        "capture, void, refund: idempotency check",
        {"lifecycle": [("  if not seen then return nil end\n  if tomb", "  if true then return nil end\n  if tomb")]},
        core=True,
    ),
    Mutation(
        "capture, void, refund: same key, other body",
        {
            "lifecycle": [
                (
                    "  if seen[1] ~= fingerprint then return {call_id, OUTCOME.IDEMPOTENCY_KEY_REUSED, 0, -1, -1} end\n",
                    "",
                )
            ]
        },
    ),
    Mutation(
        "capture, void: a hold's terminal state",
        {"lifecycle": [("  if record.status ~= 'held' then return STATUS_OUTCOME[record.status] end\n", "")]},
        core=True,
    ),
    Mutation(
        "capture, void: a hold's deadline",
        {
            "lifecycle": [
                ("  if integer(record.hold_until) > millis then return nil end", "  if true then return nil end")
            ]
        },
    ),
    Mutation(
        "refund: a redemption's terminal state",
        {
            "refund": [
                ("if record.status ~= 'captured' and record.status ~= 'partially_refunded' then", "if false then")
            ]
        },
    ),
    Mutation("capture: exceeds the hold", {"capture": [("  if left > 0 then", "  if false then")]}, core=True),
    Mutation("refund: exceeds the redemption", {"refund": [("  if left > 0 then", "  if false then")]}, core=True),
    Mutation(
        "refund: never more than is left of a part",
        {"refund": [("  part.refund = part.captured - part.refunded\n", "  part.refund = part.captured\n")]},
    ),
    Mutation("refund: window", {"refund": [("> tonumber(window_seconds) * 1000 then", "> 1e15 then")]}),
    Mutation("cancel: window", {"cancel": [("> tonumber(window_seconds) * 1000 then", "> 1e15 then")]}),
    Mutation(
        "reject: a key that is known comes before its code",
        {"reject": [("if seen then return {0, -1, seen, -1} end\n", "")]},
        core=True,
    ),
    Mutation(
        "reject: a refusal is kept under its key",
        {
            "reject": [
                (
                    "  remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, fingerprint, outcome, '-1', '-1', '-1', detail)\n",
                    "",
                )
            ]
        },
    ),
    Mutation(
        "reject: a cancel leaves a tombstone",
        {"reject": [("  remember(idempotency, SECONDS.REFUSAL_MARK_SECONDS, '-', text(OUTCOME.CANCELLED))\n", "")]},
    ),
    Mutation(
        "cancel: leaves a tombstone",
        {"prelude": [("  remember(idempotency, text(lasts), '-', text(OUTCOME.CANCELLED))\n", "")]},
        core=True,
    ),
    Mutation(
        "cancel: a tombstone lasts until no code can come with the key",
        {"prelude": [("remember(idempotency, text(lasts), '-'", "remember(idempotency, '5', '-'")]},
    ),
    Mutation(
        "cancel: what has no code stays refused for 30 days",
        {"prelude": [("  return till_key ~= '' and call('ZSCORE', cancelled, till_key)\n", "  return false\n")]},
        # Not core: the machine seldom waits out a tombstone and then repeats its key. tests/integration/redemptions/test_limits_http.py
        # does so each time.
    ),
    Mutation(
        "every call is counted: capture, void, refund",
        {"lifecycle": [("  if exceeded then return", "  if false then return")]},
    ),
    Mutation(
        "every call is counted: cancel",
        {"cancel": [("if exceeded then return", "if false then return")]},
    ),
    Mutation(
        "every call is counted: reversal of an accrual",
        {"reverse_accrual": [("if exceeded then return", "if false then return")]},
    ),
    Mutation("the tombstone is read", {"prelude": [("  return seen[1] == '-'\n", "  return false\n")]}),
    Mutation(
        "cancel: nothing is undone twice",
        {
            "cancel": [
                ("if status == 'held' or status == 'captured' or status == 'partially_refunded' then", "if true then")
            ]
        },
    ),
    Mutation(
        "cancel: a hold past its deadline has expired",
        {"cancel": [("if status == 'held' and integer(record.hold_until) <= millis then", "if false then")]},
    ),
    *(
        Mutation(f"{what}: own business only", {name: [(_OTHERS, " then return {call_id, OUTCOME.NOT_FOUND")]})
        for what, name in (
            ("capture, void, refund", "lifecycle"),
            ("cancel", "cancel"),
            ("reverse_accrual", "reverse_accrual"),
        )
    ),
    Mutation(
        "accrue: idempotency check",
        {"accrue": [("if seen then\n  if tomb", "if false then\n  if tomb")]},
    ),
    Mutation(
        "accrue: a member by id only after a scan",
        {"accrue": [("if by_id and not (state[1] and scans) then", "if false then")]},
        core=True,
    ),
    Mutation(
        "accrue: a scan is forgotten after a while",
        {"prelude": [("';' .. kept, 'EX', SECONDS.SEEN_SECONDS)", "';' .. kept, 'EX', SECONDS.BILL_SECONDS)")]},
    ),
    Mutation(
        "accrue: guesses of ids are counted",
        {"accrue": [("  guessed_too_often(here, guess_terminal, guess_outlet, true)\n", "")]},
    ),
    Mutation(
        "accrue: a bill earns once",
        {"accrue": [("  consider(OUTCOME.POSSIBLE_DUPLICATE)\n", "")]},
        core=True,
    ),
    Mutation(
        "accrue: confirmed only with another amount",
        {"accrue": [("    or find(';' .. earned_before, ';' .. amount .. '=', 1, true)) then", "    ) then")]},
    ),
    Mutation(
        "accrue: ceilings",
        {"accrue": [("  if asked_here > room then consider", "  if false then consider")]},
        core=True,
    ),
    Mutation(
        "accrue: a member's day",
        {"accrue": [("  within(points, most[3], member_before, EARN_CEILING.MEMBER_DAY_POINTS)\n", "")]},
    ),
    Mutation(
        "accrue: a terminal's day",
        {"accrue": [("  within(points, most[4], terminal_before, EARN_CEILING.TERMINAL_DAY_POINTS)\n", "")]},
    ),
    Mutation(
        "reverse_accrual: gives the day's room back",
        {"reverse_accrual": [("if member_less > 0 then", "if false then")]},
    ),
    Mutation(
        "reverse_accrual: its bill may earn again",
        {"reverse_accrual": [("if earned_before then call('SET'", "if false then call('SET'")]},
    ),
    Mutation(
        "reverse_accrual: once",
        {"reverse_accrual": [("if record.status ~= 'accrued' then", "if false then")]},
    ),
    Mutation(
        "reverse_accrual: no more than is left",
        {"reverse_accrual": [("local back = math.min(points, left)", "local back = points")]},
    ),
    Mutation(
        "issue: once",
        {"issue": [("if call('EXISTS', issued) == 1 then return {issue_id, 0, 1} end\n", "")]},
    ),
    Mutation("lots of an ended month are not spent", {"prelude": [("if ends and ends < month then", "if false then")]}),
    Mutation("issue: a member's bound of lots", {"issue": [(" or count > LIMIT.LOTS_MAX then", " then")]}, bounds=True),
    Mutation(
        "what comes back fits although the bound is reached",
        {"prelude": [("if #flat > 2 * LIMIT.LOTS_READ_MAX then", "if #flat > 2 * LIMIT.LOTS_MAX then")]},
        bounds=True,
    ),
)
