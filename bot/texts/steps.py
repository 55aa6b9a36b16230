"""Descriptions of a turn's steps. Names of steps: `bot.store.steps`."""

import re
from collections.abc import Iterable

BEFORE = (
    (r"errand:.*", "ran a job"),
    (r"forgotten:.*|unconfirmed:.*", "deleted a person's conversations"),
    (r"busy_notice", "said that the thread is busy"),
    (r"retract:.*", "removed a deleted message"),
    (r"reordered", "put messages in order that arrived late"),
    (r"admission", "decided which messages to answer"),
    (r"forgotten", "reset the conversation"),
    (r"archived", "found the conversation archived"),
    (r"background", "recorded what else was said in the thread"),
    (r"heard", "read the thread"),
    (r"unread|kept_files", "read the attached files"),
    (r"overfull|summary.*", "summarized a long conversation"),
    (r"rebuild", "started over in a new conversation"),
    (r"waits", "waited for a service or a person"),
    (r"notice", "showed the outage notice"),
    (r"failed_runs", "recorded a failed run"),
)
ROUNDS = (
    (r"conversation:\d+", "created the conversation"),
    (r"append:\d+:.*", "stored the question at the AI server"),
    (r"run:\d+(:.*)?", "started the model"),
    (r"hosted:\d+:\d+", "the AI server called tools"),
    (r"asked:\d+:\d+", "the model asked for tools"),
    (r"approval:.*", "asked for an approval"),
    (r"card:.*", "showed the approval"),
    (r"decision:.*", "an approval was decided"),
    (r"withdrawn", "withdrew an approval"),
    (r"call:.*", "called a tool"),
    (r"card_closed:.*", "showed the decision"),
)
"""These repeat in each generation and round, whose numbers are in their names."""
AFTER = (
    (r"steps", "showed the model's steps"),
    (r"draft:\d+", "began to show the answer"),
    (r"file:.*|code:.*|unattached", "attached files"),
    (r"answer", "received the answer"),
    (r"stopped:.*", "ended the stream of an earlier worker"),
    (r"limit:\d+", "split the answer into smaller messages"),
    (r"part:\d+", "posted a part of the answer"),
    (r"cut", "stopped posting"),
    (r"share:.*", "showed attached files"),
    (r"given_up", "gave up"),
    (r"accounted(:.*)?", "counted the usage"),
)
PHRASES = (*BEFORE, *ROUNDS, *AFTER)
_NUMBERS = re.compile(r":(\d{1,4})(?:[:.](\d{1,4}))?(?!\d)")
_TS = re.compile(r"\d{5,}\.\d+")


def describe_step(name: str) -> str:
    """A phrase in the past tense, or the name in readable form if there is none."""
    place = _place(name)
    return PHRASES[place][1] if place < len(PHRASES) else name.partition(":")[0].replace("_", " ")


def in_order(names: Iterable[str]) -> list[str]:
    """The steps in the order in which a turn takes them, which Redis does not keep."""
    return sorted(names, key=_position)


def _place(name: str) -> int:
    found = (place for place, (pattern, _) in enumerate(PHRASES) if re.fullmatch(pattern, name))
    return next(found, len(PHRASES))


def _position(name: str) -> tuple[int, tuple[int, ...], int]:
    place = _place(name)
    numbers = _NUMBERS.search(_TS.sub("", name))
    known = tuple(int(each) for each in numbers.groups() if each) if numbers else ()
    if place < len(BEFORE):
        return 0, (place,), place
    if place < len(BEFORE) + len(ROUNDS):
        return 1, known, place
    return 2, (place, *known), place
