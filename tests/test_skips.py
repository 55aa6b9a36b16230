"""The line about skipped checks at the end of a run."""

from tests.skips import summary


def test_each_reason_is_listed_once_with_its_tests() -> None:
    reasons = ["Skipped: no browser", "Skipped: no schema", "Skipped: no browser"]
    assert summary(reasons) == "not run: 3 tests: no browser (2); no schema (1)"


def test_a_run_that_checked_everything_has_no_such_line() -> None:
    assert summary([]) == ""
