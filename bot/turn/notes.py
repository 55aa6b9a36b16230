"""The notes below an answer."""

from dataclasses import replace

from bot.models import Answer, add_usage, well_formed
from bot.store import steps
from bot.store.journal import Turn
from bot.texts.answers import fresh_start
from bot.texts.files import unattached, unread
from bot.texts.tools import outcome_unknown
from bot.turn.batch import Request
from bot.turn.rounds_so_far import Progress


def with_notes(turn: Turn, request: Request, answer: Answer, progress: Progress) -> Answer:
    """The whole answer of a turn: with the notes below it, and the usage of all runs."""
    not_read, not_attached = turn.recall(steps.UNREAD), turn.recall(steps.UNATTACHED)
    parts = [
        fresh_start(turn.recall(steps.ARCHIVED)),
        request.note,
        unread(not_read or ()),
        unattached(not_attached or ()),
        outcome_unknown(progress.unknown),
    ]
    return replace(
        answer,
        text=well_formed(answer.text),
        note="\n\n".join(filter(None, parts)),
        usage=add_usage(progress.usage, answer.usage),
    )
