"""Encoding of values for Redis."""

import pytest

from bot.models import Message, Thread, decode, encode, well_formed

THREAD = Thread("T1", "C1", "1.000000")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("plain \n\x00 👋", "plain \n\x00 👋"),
        ("half \ud83d", "half \ufffd"),
        ("\ude00 the other half", "\ufffd the other half"),
        ("both halves \ud83d\ude00", "both halves 😀"),
    ],
)
def test_a_lone_surrogate_does_not_stop_a_message(given: str, kept: str) -> None:
    message = Message(THREAD, "2.000000", "U1", given)
    assert decode(Message, encode(message)).text == kept
    assert well_formed(given) == kept
