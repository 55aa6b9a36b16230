"""Detects whether a turn has read content that its requester did not write.

Such content may contain instructions for the model, so calls with effects need a person's approval
even if the policy allows them.
"""

from bot.store import steps
from bot.store.journal import Turn
from bot.texts.prompts import QUOTED
from bot.tools.config import BuiltIn
from bot.turn.batch import Request
from bot.turn.rounds_so_far import rounds_of

CALLING = "Calling "
"""The prefix of the titles of function calls; other steps are tools of the AI server."""


def read_external(turn: Turn, request: Request, built_in: BuiltIn) -> bool:
    """Whether the turn had read external content before its newest calls."""
    return _heard_others(turn, request) or _read_by_tools(turn, built_in)


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


def _read_by_tools(turn: Turn, built_in: BuiltIn) -> bool:
    """Results of tools that may contain anyone's text, and searches of the AI server.

    The results of the newest round do not count: after a crash they may already exist.
    """
    rounds = list(rounds_of(turn))
    searches = built_in.web_search or built_in.file_search or built_in.code_interpreter
    if searches and any(
        not card.title.startswith(CALLING) for each in rounds for card in each.asked.cards
    ):
        return True
    return any(
        called.open_world and called.outcome == "done"
        for each in rounds[:-1]
        for called in each.called
    )
