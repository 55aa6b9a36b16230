"""The alert rules: each asks for metrics and labels that the bot exposes."""

import re
from pathlib import Path
from typing import Any

import promql_parser
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


RUNBOOKS = RULES.parent / "runbooks"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_is_valid_and_has_a_runbook(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
    assert rule["labels"]["severity"] in ("warning", "critical")
    page = RULES.parents[1] / rule["annotations"]["runbook"]
    title, what, *rest = page.read_text().split("\n\n")
    assert title == f"# {rule['alert']}"
    assert what
    assert [part for part in rest if part.startswith("## ")] == ["## Look at", "## What to do"]


def test_the_parser_refuses_what_prometheus_would() -> None:
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum by (le (bot_workers)")


def test_every_runbook_is_of_a_rule_and_in_the_index() -> None:
    named = {Path(rule["annotations"]["runbook"]).name: rule["alert"] for rule in rules()}
    assert named.keys() == {page.name for page in RUNBOOKS.glob("*.md")} - {"index.md"}
    index = (RUNBOOKS / "index.md").read_text()
    assert all(f"[{alert}]({name})" in index for name, alert in named.items())
