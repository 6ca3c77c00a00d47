"""Hints of refusals: every kind that has figures says them in the reader's language, with their unit, or not at all."""

import json

import pytest

from gateway.problems.documents import KIND_OF_OUTCOME, KINDS, Problem, refused
from gateway.problems.kinds import Kind, Language
from redemption.domain.commands import BenefitLeg, Leg, PointsLeg, StoredValueLeg
from redemption.domain.outcomes import Outcome, Refusal

LANGUAGES: tuple[Language, ...] = ("zh-Hant", "zh-Hans", "en")
WITH_FIGURES = [kind for kind in KINDS.values() if kind.figures is not None]
OF_OUTCOMES = [outcome for outcome, kind in KIND_OF_OUTCOME.items() if kind.figures and kind.figures.unit != "seconds"]
POINTS: tuple[Leg, ...] = (PointsLeg(points=2_000),)
SHOWN = {
    "points": ("2,000", "78"),
    "uses": ("2,000", "78"),
    "money": ("20.00 CNY", "0.78 CNY"),
    "leg": ("2,000", "78"),
    "count": ("2,000", "78"),
}


def hint_of(problem: Problem, language: str) -> str:
    return str(json.loads(problem.body(language))["operator_hint"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("outcome", OF_OUTCOMES, ids=lambda outcome: outcome.name.lower())
def test_a_refusal_with_figures_says_what_was_asked_and_what_there_is(outcome: Outcome, language: Language) -> None:
    kind = KIND_OF_OUTCOME[outcome]
    assert kind.figures is not None
    problem = refused(Refusal(outcome, 0, 2_000, 78), currency="CNY", legs=POINTS)
    asked, available = SHOWN[kind.figures.unit]
    hint = hint_of(problem, language)
    assert asked in hint
    assert available in hint
    assert hint != kind.hints[language]
    assert "{" not in hint
    assert (language == "en") == hint.isascii()


@pytest.mark.parametrize("outcome", OF_OUTCOMES, ids=lambda outcome: outcome.name.lower())
def test_figures_that_are_missing_or_explain_nothing_are_left_out(outcome: Outcome) -> None:
    for refusal in (Refusal(outcome, 0), Refusal(outcome, 0, 5, -1), Refusal(outcome, 0, 0, 0)):
        problem = refused(refusal, currency="CNY", legs=POINTS)
        assert hint_of(problem, "zh-Hant") == KIND_OF_OUTCOME[outcome].hints["zh-Hant"]


def test_the_hint_reads_as_a_cashier_would_say_it() -> None:
    problem = refused(Refusal(Outcome.POINTS_INSUFFICIENT, 0, 2_000, 78), currency="CNY", legs=POINTS)
    assert hint_of(problem, "zh-HK") == "積分不足：要用 2,000，可用 78"
    assert hint_of(problem, "zh-CN") == "积分不足：要用 2,000，可用 78"
    assert hint_of(problem, "en-GB") == "Not enough points: 2,000 asked, 78 available"
    assert json.loads(problem.body("zh-HK"))["detail"] == "2 000 points asked, 78 available"


@pytest.mark.parametrize(
    ("legs", "figures"),
    [
        ((StoredValueLeg(amount_minor=2_000),), "20.00 CNY"),
        ((BenefitLeg(benefit_id="parking-hours", uses=2_000),), "2,000"),
        ((PointsLeg(points=1), StoredValueLeg(amount_minor=2_000)), "20.00 CNY"),
        ((StoredValueLeg(amount_minor=1_500), StoredValueLeg(amount_minor=500)), "20.00 CNY"),
        ((PointsLeg(points=2_000), StoredValueLeg(amount_minor=2_000)), None),
        ((), None),
    ],
)
def test_figures_of_a_step_have_the_unit_of_the_leg_they_are_of(legs: tuple[Leg, ...], figures: str | None) -> None:
    hint = hint_of(refused(Refusal(Outcome.EXCEEDS_HOLD, None, 2_000, 78), currency="CNY", legs=legs), "zh-Hant")
    if figures is None:
        assert hint == KINDS["exceeds_hold"].hints["zh-Hant"]
    else:
        assert f"要扣 {figures}，" in hint


def test_a_rate_says_how_many_seconds_to_wait() -> None:
    problem = refused(Refusal(Outcome.RATE_LIMITED, None, 4, 57))
    assert hint_of(problem, "zh-Hant") == "系統繁忙，請 57 秒後再試同一筆"
    assert dict(problem.headers)[b"retry-after"] == b"57"


@pytest.mark.parametrize("kind", WITH_FIGURES, ids=lambda kind: kind.code)
def test_the_hint_with_figures_is_there_in_every_language_with_the_same_figures(kind: Kind) -> None:
    assert kind.figures is not None
    assert set(kind.figures.texts) == set(kind.hints) == set(LANGUAGES)
    named = [{name for name in ("{asked}", "{available}") if name in text} for text in kind.figures.texts.values()]
    assert named[0] == named[1] == named[2]
    assert "{available}" in named[0]
