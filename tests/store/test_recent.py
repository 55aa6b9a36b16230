"""What `web` remembers for a restore, within its room and time."""

import time

import pytest

from bot.store.recent import SECONDS, Recent


def test_the_newest_things_stay_as_far_as_there_is_room() -> None:
    recent = Recent[int](100)
    for number in range(10):
        recent.add(number, 30)
    assert [thing for _, thing in recent] == [7, 8, 9]
    recent.add(10, 90)
    assert [thing for _, thing in recent] == [10]
    recent.add(11, 101)
    assert not recent.has_any()


def test_a_thing_stays_for_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, now = Recent[str](100), time.monotonic()
    recent.add("old", 1)
    monkeypatch.setattr(time, "monotonic", lambda: now + SECONDS - 1)
    recent.add("new", 1)
    assert [thing for _, thing in recent] == ["old", "new"]
    assert recent.has_any(within=2)
    monkeypatch.setattr(time, "monotonic", lambda: now + SECONDS + 5)
    assert [thing for _, thing in recent] == ["new"]
    assert recent.has_any()
    assert not recent.has_any(within=2)
