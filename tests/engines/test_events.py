"""Server-sent events, however they are cut and however their lines end."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engines.events import EventReader

TEXT = (
    ": a comment\n\n"
    "event: thread.run\ndata: {\ndata:  1}\nid: 7\n\n"
    "retry: 5\n\n"
    "data: zeile\u2028zwei\x0b\n\n"
    "data\n\n"
    "event: error\n\n"
    "data: cut off"
)
EVENTS = [
    ("thread.run", "{\n 1}"),
    ("", "zeile\u2028zwei\x0b"),
    ("", ""),
    ("error", ""),
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(cuts=st.lists(st.integers(0, len(TEXT) + 20), max_size=8))
def test_events_are_the_same_wherever_the_text_is_cut(end: str, cuts: list[int]) -> None:
    reader, text = EventReader(), TEXT.replace("\n", end)
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[start:stop] for start, stop in pairwise(places)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


def test_an_event_ends_with_its_blank_line() -> None:
    reader = EventReader()
    assert list(reader.feed("data: 1\r\r")) == [("", "1")]
    assert list(reader.feed("\ndata: 2\r\n\r\n")) == [("", "2")]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ('event: a\ndata: {"n":1}\nevent: b\ndata: {"n":2}\n', [("a", 1), ("b", 2)]),
        ('data: {"n":1}\nevent: b\ndata: {"n":2}\n', [("", 1), ("b", 2)]),
        ('data: {"n":1}\nevent: a\n\ndata: {"n":2}\nevent: b\n\n', [("a", 1), ("b", 2)]),
        ('event: a\nid: 1\ndata: {"n":1}\nid: 2\nevent: b\n\n', [("a", 1), ("b", None)]),
        ('{"n":1}\n{"n":2}\n', [("", 1), ("", 2)]),
        ('{\n  "data": 0,\n  "n": 1\n}\n', [("", 1)]),
    ],
)
def test_a_name_belongs_to_its_own_event(text: str, events: list[tuple[str, int | None]]) -> None:
    """Without blank lines, in another order, and as JSON alone."""
    found = list(EventReader().feed(text + "\n\n"))
    assert [(name, json.loads(data)["n"] if data else None) for name, data in found] == events
