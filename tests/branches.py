"""A plug-in of pytest that measures which lines and branches of `bot/` the tests run.

SlipCover instruments the code as it is imported, at little cost on every Python; coverage.py counts
branches cheaply from Python 3.14 on only. Each process of xdist writes what it has run into
COVERAGE_FOLDER, and `percentages` adds it up. `-p tests.branches` loads the plug-in before any code
of the bot.
"""

import json
import os
from pathlib import Path
from typing import Any

import slipcover

ROOT = Path(__file__).parent.parent
_source = str(ROOT / "bot")
_measured = slipcover.Slipcover(branch=True, source=[_source])
slipcover.ImportManager(_measured, slipcover.FileMatcher(sources=[_source])).__enter__()


def pytest_collection() -> None:
    """Measure here only, not in a pytest that a test starts."""
    os.environ.pop("PYTEST_PLUGINS", None)


def pytest_sessionfinish() -> None:
    """Write what this process has run; with xdist the controller runs nothing."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "all")
    folder = Path(os.environ["COVERAGE_FOLDER"])
    (folder / f"{name}.json").write_text(json.dumps(_measured.get_coverage()))


def percentages(folder: Path) -> tuple[float, float]:
    """The percentage of the lines, and of the branches, that any of the processes has run."""
    first, *others = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    for other in others:
        slipcover.merge_coverage(first, other)
    return _percentage(first, "lines"), _percentage(first, "branches")


def _percentage(found: dict[str, Any], what: str) -> float:
    summary = found["summary"]
    run, missed = summary[f"covered_{what}"], summary[f"missing_{what}"]
    return 100.0 * float(run) / float(run + missed)


if __name__ == "__main__":
    print(*percentages(Path(os.environ["COVERAGE_FOLDER"])))  # noqa: T201 - for dev.py
