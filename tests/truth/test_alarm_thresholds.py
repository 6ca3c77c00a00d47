"""The operations page and Prometheus alarm at the same numbers: gateway/observability/alarms.py and
deploy/prometheus/tong.rules.yml.

Every alarm of the page has its rules here, with the threshold that the expression must end in, or a reason why it has
none.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.observability.alarms import (
    BACKLOG_ENTRIES,
    CODES,
    LAG_SECONDS,
    LATENCY_P99_MS,
    MEMORY_SHARE,
    REFUSED_JUMP_SHARE,
    REFUSED_MIN,
    REFUSED_SHARE,
    REFUSED_TIMES_BEFORE,
    STALE_SECONDS,
)

RULES_FILE = Path(__file__).parents[2] / "deploy" / "prometheus" / "tong.rules.yml"

THRESHOLDS: dict[str, dict[str, tuple[str, str]]] = {
    "hot_store_disconnected": {"TongHotStoreAway": ("== 0", "critical")},
    "frozen": {"TongBucketsFrozen": ("> 0", "critical")},
    "writer_silent": {"TongLedgerWriterSilent": ("== 1", "critical")},
    "ledger_stopped": {"TongLedgerStopped": ("> 0", "critical")},
    "dead_letters": {"TongDeadLetters": ("> 0", "critical")},
    "ledger_lag": {
        "TongLedgerLags": (f"> {LAG_SECONDS[0]:g}", "warning"),
        "TongLedgerFarBehind": (f"> {LAG_SECONDS[1]:g}", "critical"),
    },
    "ledger_backlog": {
        "TongBacklogGrows": (f"> {BACKLOG_ENTRIES[0]}", "warning"),
        "TongBacklogLarge": (f"> {BACKLOG_ENTRIES[1]}", "critical"),
    },
    "memory": {
        "TongHotStoreFillsUp": (f"> {MEMORY_SHARE[0]:g}", "warning"),
        "TongHotStoreAlmostFull": (f"> {MEMORY_SHARE[1]:g}", "critical"),
    },
    "refusals_jump": {"TongRefusalsJump": (f"> {REFUSED_JUMP_SHARE:g}", "warning")},
    "refusals_high": {"TongRefusalsHigh": (f"> {REFUSED_SHARE:g}", "warning")},
    "outcome_unknown": {"TongOutcomeUnknown": ("> 0", "critical")},
    "overloaded": {"TongRefusesLoad": ("> 0", "warning")},
    "latency": {"TongAnswersSlow": (f"> {LATENCY_P99_MS / 1000:g}", "warning")},
    "configuration_stale": {"TongConfigurationOld": (f"> {STALE_SECONDS:g}", "warning")},
}
WITHOUT_A_RULE = {
    "figures_stale": "Prometheus sees for itself that nothing is scraped (`up`)",
    "points_issued_jump": "TongPointsIssued compares an hour with a week, which the page does not keep",
    "guesses": "TongGuesses counts ten minutes, the page one",
}
WITHOUT_AN_ALARM = {
    "TongPointsIssued": "as above",
    "TongGuesses": "as above",
    "TongRateLimited": "on the page it is a reason among the refusals",
    "TongFaults": "the log has the traces; the page counts scans",
    "TongHotStoreGrows": "a forecast over hours, which the page does not keep",
    "TongBacklogFull": "on the page the refused scans and `ledger_backlog` say so",
    "TongSealStopped": "the sealer does not report to the page",
    "TongProjectionStopped": "the projector does not report to the page",
    "TongProjectionBehind": "as above",
}


@pytest.fixture(scope="module")
def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES_FILE.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_alarm_of_the_page_has_its_rule_or_a_reason() -> None:
    assert set(CODES) <= THRESHOLDS.keys() | WITHOUT_A_RULE.keys()


def test_every_rule_has_its_alarm_on_the_page_or_a_reason(rules: dict[str, dict[str, Any]]) -> None:
    named = {name for each in THRESHOLDS.values() for name in each}
    assert named <= rules.keys()
    assert rules.keys() - named <= WITHOUT_AN_ALARM.keys()


@pytest.mark.parametrize(("code", "name"), [(code, name) for code, each in THRESHOLDS.items() for name in each])
def test_a_rule_has_the_threshold_of_the_page(rules: dict[str, dict[str, Any]], code: str, name: str) -> None:
    threshold, severity = THRESHOLDS[code][name]
    first = rules[name]["expr"].split("\n")[0].strip()
    assert first.endswith(" " + threshold), (name, first)
    assert rules[name]["labels"]["severity"] == severity


def test_rules_of_refusals_count_as_the_page_does(rules: dict[str, dict[str, Any]]) -> None:
    for name in ("TongRefusalsHigh", "TongRefusalsJump"):
        assert f">= {REFUSED_MIN}" in rules[name]["expr"]
    assert f"> {REFUSED_TIMES_BEFORE:g} * (" in rules["TongRefusalsJump"]["expr"]
