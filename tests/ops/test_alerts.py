"""The alert rules: each asks for metrics and labels that the bot exposes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ops.test_grafana import exposed, names_in

RULES = Path(__file__).parent.parent.parent / "docs" / "alerts.yml"


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_names_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    names, known = names_in(rule["expr"]), exposed()
    assert names
    assert set(names) <= known.keys()
    labels = frozenset().union(*(known[name] for name in names))
    asked = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    asked |= set(", ".join(re.findall(r"by \(([\w, ]+)\)", rule["expr"])).split(", ")) - {""}
    assert asked <= labels


def test_an_open_circuit_raises_an_alert() -> None:
    assert any("bot_circuit_open" in rule["expr"] for rule in rules())
