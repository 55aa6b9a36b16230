"""The data of a chart."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """One section of a chart: a heading, and labels with their values."""

    title: str
    rows: Sequence[tuple[str, int]]
