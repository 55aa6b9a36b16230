"""The shapes of Slack's real payloads: names and types of their fields, without their values.

`python -m local_slack.tests.shapes FOLDER` records them from a folder of samples.
"""

import json
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from local_slack.api.methods import METHODS

RECORDED = Path(__file__).parent / "data" / "slack_shapes.json"
DEPTHS = {"events": 2, "socket": 3, "interactive": 2, "api": 2}
"""How many levels of fields are recorded, by folder."""
NAMED = frozenset({"type", "subtype"})
"""Fields whose values distinguish payloads."""
Json = dict[str, Any]


def load(pattern: str) -> list[Json]:
    """The shapes of the samples whose path matches."""
    found = [shape for path, shape in sorted(_recorded().items()) if fnmatchcase(path, pattern)]
    assert found, pattern
    return found


def references() -> dict[str, Json]:
    """Slack's reference of each method: `rate_limits`, `scopes`, shapes of `examples`."""
    start = "reference/"
    return {path.removeprefix(start): facts for path, facts in _all().items() if start in path}


def keys_of(samples: Iterable[Json]) -> tuple[set[str], set[str]]:
    """The keys that every sample has, and those that any sample has."""
    sets = [set(sample) for sample in samples]
    return set.intersection(*sets), set.union(*sets)


def record(samples: Path) -> dict[str, Json]:
    """The shapes of a folder of samples by their paths in it."""
    shapes = {}
    for folder, depth in DEPTHS.items():
        for path in sorted(samples.glob(f"{folder}/*.json")):
            if folder != "api" or path.stem.partition(".")[2] in METHODS:
                sample = json.loads(path.read_text())
                shapes[f"{folder}/{path.stem}"] = shape_of(sample, depth)
    for path in sorted(samples.glob("reference/*.json")):
        if path.stem in METHODS:
            shapes[f"reference/{path.stem}"] = _reference(json.loads(path.read_text()))
    return shapes


def shape_of(value: Any, depth: int, field: str = "") -> Any:
    """Fields as a dict, a list as a list of its first element, anything else as its type."""
    if isinstance(value, dict) and depth:
        return {key: shape_of(each, depth - 1, key) for key, each in sorted(value.items())}
    if isinstance(value, list) and depth:
        return [shape_of(each, depth - 1) for each in value[:1]]
    if field in NAMED and isinstance(value, str):
        return value
    return type(value).__name__


def _reference(sample: Json) -> Json:
    examples = [each["example"] for each in (sample.get("examples") or {}).values()]
    return {
        "rate_limits": sample["rate_limits"],
        "scopes": sorted(sample["scope"].get("bot") or ()),
        "examples": [shape_of(example, 2) for example in examples],
    }


@cache
def _all() -> dict[str, Json]:
    recorded: dict[str, Json] = json.loads(RECORDED.read_text())
    return recorded


def _recorded() -> dict[str, Json]:
    return {path: shape for path, shape in _all().items() if not path.startswith("reference/")}


if __name__ == "__main__":
    lines = ",\n".join(
        f"{json.dumps(path)}: {json.dumps(shape, separators=(',', ':'))}"
        for path, shape in record(Path(sys.argv[1])).items()
    )
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(f"{{\n{lines}\n}}\n")
