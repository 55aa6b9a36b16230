"""The dashboard: it uses all metrics of the bot, and no others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bot.telemetry.metrics import REGISTRY

DASHBOARD = Path(__file__).parent.parent.parent / "docs" / "grafana.json"


@pytest.fixture
def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def exposed() -> dict[str, frozenset[str]]:
    """Every name that a scrape may show, with its labels."""
    names: dict[str, frozenset[str]] = {family.name: frozenset() for family in REGISTRY.collect()}
    for collector in dict.fromkeys(REGISTRY._collector_to_names):
        labels = frozenset(getattr(collector, "_labelnames", ()))
        for name in REGISTRY._collector_to_names[collector]:
            names[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return names


def queries(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_every_query_names_metrics_that_exist(panels: list[dict[str, Any]]) -> None:
    known = exposed()
    asked = {name for query in queries(panels) for name in names_in(query)}
    assert asked
    assert asked <= known.keys()


def test_every_label_in_a_query_is_one_of_its_metric(panels: list[dict[str, Any]]) -> None:
    known = exposed()
    for query in queries(panels):
        labels = frozenset().union(*(known[name] for name in names_in(query)))
        asked = set(re.findall(r'(\w+)!?="', query))
        for group in re.findall(r"by \(([\w, ]+)\)", query):
            asked |= set(group.split(", "))
        assert asked <= labels, query


def test_every_metric_has_a_panel(panels: list[dict[str, Any]]) -> None:
    asked = {base(name) for query in queries(panels) for name in names_in(query)}
    ours = {base(name) for name in exposed() if name.startswith("bot_")}
    assert ours - asked == set()


def test_panels_do_not_overlap(panels: list[dict[str, Any]]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def names_in(query: str) -> list[str]:
    return re.findall(r"\b(?:bot|process)_\w+", query)


def base(name: str) -> str:
    """The base name of a counter's or histogram's series."""
    return re.sub(r"_(?:bucket|count|sum|total|created)$", "", name)
