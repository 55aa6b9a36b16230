"""What `python -m benchmarks` does with the sections that it measures."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import Measured, measure_all
from benchmarks.page_text import render
from benchmarks.sections import SECTIONS, Figures, Measure, Section

OURS, OLD = Path("ours"), Path("old")


async def works(checkout: Path, found: Figures) -> None:
    found["CPU ms", ""] = 1_234.0 if checkout == OURS else 56.78


async def grows(checkout: Path, found: Figures) -> None:
    found["MB", "10 runs"] = 1.0
    found["MB", "500 runs"] = 2.5


async def fails(checkout: Path, found: Figures) -> None:
    found["MB", "10 runs"] = 7.0
    raise RuntimeError("no memory")


async def hangs(checkout: Path, found: Figures) -> None:
    await asyncio.Event().wait()


def section(name: str, measure: Measure, rounds: int = 1, *, only_ours: bool = False) -> Section:
    return Section(name, "Note.", measure, 0.05, rounds, only_ours)


async def pages_of(*sections: Section, against: bool = False) -> list[str]:
    """The page after each section."""
    pages: list[str] = []

    def save(measured: Sequence[Measured]) -> None:
        pages.append(render(measured, ["new", "old"][: 1 + against], "a machine"))

    checkouts = [OURS, OLD] if against else [OURS]
    await measure_all(sections, checkouts, 3, 1.0, save)
    return pages


async def test_a_section_that_fails_loses_no_figures() -> None:
    first, second, third, last = await pages_of(
        section("One", works),
        section("Two", fails),
        section("Three", hangs),
        section("Four", grows),
    )
    assert "| CPU ms | 1,234 |" in first
    assert "## Two" not in first
    assert "| MB | 7 |" in second
    assert "RuntimeError: no memory" in second
    assert "not finished after 0.05 s" in third
    assert "| figure | 10 runs | 500 runs |" in last
    assert "| MB | 1 | 2.50 |" in last
    assert last.startswith(first[: first.index("## One")])


async def test_an_older_commit_is_shown_beside_ours() -> None:
    (*_, page) = await pages_of(
        section("One", works, 3), section("Two", grows), section("Three", works, only_ours=True),
        against=True,
    )  # fmt: skip
    assert "| figure | `new` | `old` |" in page
    assert "| CPU ms | 1,234 | 56.8 |" in page
    assert "| MB (`old`) | 1 | 2.50 |" in page
    assert page.endswith("| figure | `new` |\n| --- | ---: |\n| CPU ms | 1,234 |\n")


def test_all_sections_together_take_ten_minutes_at_most() -> None:
    assert sum(each.seconds * each.rounds for each in SECTIONS) <= 600
