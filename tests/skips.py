"""The checks that a test run skipped, in one line."""

from collections import Counter
from collections.abc import Iterable


def summary(reasons: Iterable[str]) -> str:
    """One line with the reasons of skipped tests, most common first; "" if none were skipped."""
    counts = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
    listed = "; ".join(f"{reason} ({count})" for reason, count in counts.most_common())
    return f"not run: {counts.total()} tests: {listed}" if counts else ""
