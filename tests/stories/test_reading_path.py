"""A reader can follow one message through a turn in one reading: see `tests/reading_path.py`."""

import pytest

from bot.turn.turn import take_turn
from tests.reading_path import Call, climbs_of, path_of, recording, stays_of
from tests.world import World

LEAVES = frozenset(
    {"slack", "engines", "store", "telemetry", "texts", "models", "calls", "errors", "media"}
)
"""The ports of a turn (Slack, the AI server, Redis), logs, texts, and plain values."""
MOST_CLIMBS = 5


async def test_a_turn_is_read_from_top_to_bottom(world: World) -> None:
    root = await world.ask("#general", "@bot hello")  # what is made once is made now
    for thread_ts in ("", root):
        with recording(take_turn, LEAVES) as recorded:
            await world.ask("#general", "@bot and this?", thread_ts=thread_ts)
        path = path_of(recorded.roots[0])
        assert {"turn.gate", "turn.rounds", "turn.follow", "turn.record"} <= set(stays_of(path))
        assert len(climbs_of(path)) <= MOST_CLIMBS


@pytest.mark.parametrize(
    ("calls", "climbs"),
    [
        ([Call("b", "f"), Call("c", "f")], []),
        ([Call("b", "f"), Call("a", "helper")], ["b -> a"]),
        ([Call("b", "f", calls=[Call("c", "f")]), Call("b", "g")], ["c -> b"]),
        ([Call("b", "f"), Call("c", "f"), Call("b", "f")], []),  # it has been read
        ([Call("b", "f"), Call("c", "f", calls=[Call("b", "f")])], ["c -> b"]),
        ([Call("b", "f"), Call("a", "top.<locals>.inner")], []),  # it was read with `top`
    ],
)
def test_a_climb_is_a_return_to_a_module_that_was_left(
    calls: list[Call], climbs: list[str]
) -> None:
    assert climbs_of(path_of(Call("a", "top", calls=calls))) == climbs
