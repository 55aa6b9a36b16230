"""Server-sent events, however they are cut and however their lines end."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.engines.events import MOST_LINES, NAME_BYTES, EventReader
from bot.engines.transport import ResponseTooLarge

TEXT = (
    ": a comment\n\n"
    "event: thread.run\ndata: {\ndata:  1}\nid: 7\n\n"
    "retry: 5\n\n"
    "data: zeile\u2028zwei\x0b\n\n"
    "data\n\n"
    "event: error\n\n"
    "data: cut off"
).encode()
EVENTS = [
    ("thread.run", b"{\n 1}"),
    ("", "zeile\u2028zwei\x0b".encode()),
    ("", b""),
    ("error", b""),
]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@given(cuts=st.lists(st.integers(0, len(TEXT) + 20), max_size=8))
def test_events_are_the_same_wherever_the_text_is_cut(end: bytes, cuts: list[int]) -> None:
    reader, text = EventReader(), TEXT.replace(b"\n", end)
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[start:stop] for start, stop in pairwise(places)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


def test_an_event_ends_with_its_blank_line() -> None:
    reader = EventReader()
    assert list(reader.feed(b"data: 1\r\r")) == [("", b"1")]
    assert list(reader.feed(b"\ndata: 2\r\n\r\n")) == [("", b"2")]


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
    found = list(EventReader().feed(f"{text}\n\n".encode()))
    assert [(name, json.loads(data)["n"] if data else None) for name, data in found] == events


def test_a_mark_of_the_byte_order_is_skipped() -> None:
    assert list(EventReader().feed(b"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n")) == [
        ("", b"1"),
        ("", b"2"),
    ]


def test_an_event_has_a_bounded_number_of_lines_and_a_short_name() -> None:
    reader = EventReader()
    ((name, _),) = reader.feed(b"event: " + b"n" * 1_000_000 + b"\ndata: 1\n\n")
    assert len(name) == NAME_BYTES
    with pytest.raises(ResponseTooLarge):
        list(reader.feed(b"data:x\n" * (MOST_LINES + 1)))
