"""Detects whether a conversation holds content that the requester of a turn did not write.

Such content may contain instructions for the model, so calls with effects need a person's approval
even if the policy allows them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bot.calls import HostedCall
from bot.store import steps
from bot.store.journal import Turn
from bot.texts.prompts import QUOTED
from bot.turn.batch import Request
from bot.turn.rounds_so_far import Progress, Round, hosted_calls, rounds_of

HARMLESS = frozenset({"image_generation"})
"""Built-in tools that read nothing."""
MOST_SOURCES = 50
"""The most tools that are listed as sources in one conversation."""


def read_external(turn: Turn, request: Request) -> bool:
    """Whether the turn had read external content before its newest calls.

    The results of these do not count: after a crash they may already exist.
    """
    rounds = list(rounds_of(turn))[:-1]
    was_hosted = _has_read(hosted_calls(turn))
    return _has_words_of_others(turn, request) or was_hosted or bool(sources_of(rounds))


@dataclass(frozen=True, slots=True)
class ExternalContent:
    """What a turn adds to its conversation: see `Conversation`."""

    is_present: bool
    sources: frozenset[str]


def external_content(turn: Turn, request: Request, progress: Progress) -> ExternalContent:
    """The external content that the turn adds to its conversation, for the next ones."""
    sources = sources_of(progress.rounds)
    known = request.conversation.sources if request.conversation else frozenset()
    is_full = len(known | sources) > MOST_SOURCES
    external = (
        _has_words_of_others(turn, request)
        or _has_read(progress.hosted)
        or is_full
        or "" in sources
    )
    return ExternalContent(external, frozenset() if is_full else sources - {""})


def sources_of(rounds: Iterable[Round]) -> frozenset[str]:
    """The tools whose results may contain anyone's text."""
    return frozenset(
        called.source
        for each in rounds
        for called in each.called
        if called.open_world and called.outcome == "done"
    )


def _has_read(hosted: Iterable[HostedCall]) -> bool:
    """Whether the AI server itself has called tools that read."""
    return any(call.name not in HARMLESS for call in hosted)


def _has_words_of_others(turn: Turn, request: Request) -> bool:
    """Whether the messages hold other people's words, files, link previews or forwarded
    messages."""
    known, given = request.conversation, turn.recall(steps.ENGINE_INPUT)
    requester = request.last.user_id
    if known is not None and known.user_id != requester:
        return True
    messages = given.messages if given else request.messages
    if given and given.before:
        return True
    return any(
        message.user_id != requester
        or message.files
        or any(mark in message.text for mark in QUOTED)
        for message in messages
    )
