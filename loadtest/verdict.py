"""The verdict of a load test: a pure judgement over its figures and the audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VERIFY = "verify: "
NOTICE = "notice, from scan to phone"


@dataclass(frozen=True)
class Limits:
    """The limits that must hold. The p99 is of scans, in milliseconds; the rate is of scans, the mean over the whole
    test."""

    p99_ms: float = 250.0
    rate_min: float = 20.0


def scan_rate(names: Mapping[str, Mapping[str, Any]]) -> float:
    """Return scans a second, all kinds."""
    return float(sum(figures["rate"] for name, figures in names.items() if name.startswith(VERIFY)))


def notices_heard(names: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the redemptions whose member received the notice in time."""
    figures = names.get(NOTICE, {"requests": 0, "failures": 0})
    return int(figures["requests"] - figures["failures"])


def objections(
    limits: Limits, names: Mapping[str, Mapping[str, Any]], errors: Sequence[str], differences: Sequence[str]
) -> list[str]:
    """Return why it did not pass, a sentence each; none where it passed."""
    found = [f"error: {error}" for error in errors]
    for name, figures in sorted(names.items()):
        if name.startswith(VERIFY) and figures["p99"] > limits.p99_ms:
            found.append(f"{name}: p99 {figures['p99']:.0f} ms, allowed {limits.p99_ms:.0f} ms")
    if not notices_heard(names):
        found.append("no member heard of a redemption")
    rate = scan_rate(names)
    if rate < limits.rate_min:
        found.append(f"{rate:.1f} scans/s, wanted {limits.rate_min:.1f}")
    return found + [f"audit: {difference}" for difference in differences]
