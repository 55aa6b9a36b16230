"""Detects whether a turn has read content that its requester did not write.

Such content may contain instructions for the model, so calls with effects need a person's approval
even if the policy allows them.
"""

from bot.store import steps
from bot.store.journal import Turn
from bot.texts.prompts import QUOTED
from bot.turn.batch import Request
from bot.turn.rounds_so_far import hosted_calls, rounds_of

HARMLESS = frozenset({"image_generation"})
"""Built-in tools that read nothing."""


def read_external(turn: Turn, request: Request) -> bool:
    """Whether the turn had read external content before its newest calls."""
    return _heard_others(turn, request) or _read_by_tools(turn)


def _heard_others(turn: Turn, request: Request) -> bool:
    """Other people's words, files, link previews and forwarded messages."""
    requester, heard = request.last.user_id, turn.recall(steps.HEARD)
    messages = heard.messages if heard else request.messages
    if heard and heard.before:
        return True
    return any(
        message.user_id != requester
        or message.files
        or any(mark in message.text for mark in QUOTED)
        for message in messages
    )


def _read_by_tools(turn: Turn) -> bool:
    """Results of tools that may contain anyone's text, and searches of the AI server.

    The results of the newest round do not count: after a crash they may already exist.
    """
    if any(call.name not in HARMLESS for call in hosted_calls(turn)):
        return True
    return any(
        called.open_world and called.outcome == "done"
        for each in list(rounds_of(turn))[:-1]
        for called in each.called
    )
