"""What a test run could not check, in one line."""

from collections import Counter
from collections.abc import Iterable


def summary(reasons: Iterable[str]) -> str:
    """One line with each reason for which tests were skipped, the commonest first; "" without."""
    counts = Counter(reason.removeprefix("Skipped: ") for reason in reasons)
    listed = "; ".join(f"{reason} ({count})" for reason, count in counts.most_common())
    return f"not run: {counts.total()} tests: {listed}" if counts else ""
