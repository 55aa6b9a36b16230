"""What `web` remembers for a restore, within its room and time."""

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


def test_a_thing_stays_for_five_minutes() -> None:
    now = 1000.0
    recent = Recent[str](100, clock=lambda: now)
    recent.add("old", 1)
    now += SECONDS - 1
    recent.add("new", 1)
    assert [thing for _, thing in recent] == ["old", "new"]
    assert recent.has_any(within=2)
    now += 6
    assert [thing for _, thing in recent] == ["new"]
    assert recent.has_any()
    assert not recent.has_any(within=2)
