"""deploy/: rules and dashboard name only metrics and labels that the product exports."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.observability.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Names as they stand in the exposition, with their labels."""
    found: dict[str, set[str]] = {}
    for collector in set(Metrics().registry._names_to_collectors.values()):
        described: Any = collector
        name, labels, kind = described._name, set(described._labelnames), described._type
        own = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(kind, [""])
        for suffix in own:
            found[name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "tong.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana" / "tong.json").read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_names_what_is_exported(exported: dict[str, set[str]], expression: str) -> None:
    names = re.findall(r"\btong_\w+", expression)
    assert names
    assert set(names) <= exported.keys()
    known = set().union(*(exported[name] for name in names))
    for labels in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)", labels)) <= known
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",")} <= known


def test_every_metric_stands_on_the_dashboard(exported: dict[str, set[str]]) -> None:
    shown = set(
        re.findall(r"\btong_\w+", " ".join(target["expr"] for panel in panels() for target in panel["targets"]))
    )
    missing = {name for name in exported if not name.endswith(("_sum", "_count"))} - shown
    assert missing == set()


def test_a_legend_uses_only_labels_that_the_expression_keeps() -> None:
    for panel in panels():
        for target in panel["targets"]:
            kept = {
                label.strip() for group in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in group.split(",")
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def test_every_alarm_says_what_it_means_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith((".", "?"))


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
