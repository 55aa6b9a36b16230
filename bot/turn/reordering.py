"""Keeps messages in order without waiting: a turn begins at once, and again if an older message
arrives.

Slack does not deliver in order. An older message that arrives before the run has ended joins the
turn: the run is cancelled, and the turn begins again with both. The same holds for files that
arrive after their message. What arrives later is answered by the next turn.
"""

from bot.engines import Engine
from bot.errors import OutOfOrder
from bot.models import Usage, add_usage, encode
from bot.store import steps
from bot.store.journal import Turn, Turns
from bot.store.step_values import Admission, Reordered
from bot.store.steps import Generation
from bot.telemetry.log import log
from bot.turn.rounds_so_far import rounds_of

MOST_TIMES = 5
"""How often a turn begins again. Messages that arrive even later are answered by the next turn."""
REDONE = (steps.ENGINE_INPUT, steps.ADMISSION, steps.UNREAD, steps.KEPT_FILES)
"""Steps that depend on the messages of a turn."""


def can_begin_again(turn: Turn) -> bool:
    """Whether older messages may still join a turn: it has only questions, and neither an answer
    nor calls of tools, which may have taken effect."""
    if turn.recall(steps.ANSWER) is not None or turn.recall(steps.GIVEN_UP) is not None:
        return False
    if any(rounds_of(turn)):
        return False
    if (turn.recall(steps.REORDERED) or Reordered()).times >= MOST_TIMES:
        return False
    return all(message.kind == "message" for message in turn.claim.messages)


async def begin_again(turns: Turns, engine: Engine, turn: Turn, error: OutOfOrder) -> Turn:
    """Begin the turn again, with the messages that arrived late."""
    log.info("turn_reordered", thread=turn.claim.thread.key, turn=turn.id)
    before = turn.recall(steps.REORDERED) or Reordered()
    everything = tuple(message.ts for message in turn.claim.messages)
    admission = turn.recall(steps.ADMISSION) or Admission(everything, before.note)
    number = turn.recall(steps.GENERATION) or 0
    is_clean = not _touched(turn, engine, number)
    started = turn.recall(Generation(number).run) is not None
    again = Reordered(
        times=before.times + 1,
        admitted=admission.admitted,
        note=admission.note,
        usage=add_usage(before.usage, _reported(error.usage)),
        model=error.model or before.model,
        attempt=number + started if is_clean and number == before.attempt else before.attempt,
        restarted=before.restarted or started,
    )
    number += started or not is_clean
    values = {
        steps.REORDERED.name: encode(again, Reordered),
        steps.GENERATION.name: encode(number, int),
    }
    return await turns.begin_again(turn, [step.name for step in REDONE], values)


def _touched(turn: Turn, engine: Engine, number: int) -> bool:
    """Whether the turn has added to its conversation, which it then cannot use when it begins
    again. A conversation that the turn began itself counts: its history may contain the late
    messages."""
    names = [Generation(n).conversation.name for n in range(number + 1)]
    began = turn.journal.keys() & {mark + name for name in names for mark in "?="}
    return bool(began) or (engine.appends and _appended(turn, number))


def _appended(turn: Turn, number: int) -> bool:
    prefix = Generation(number).append("").name
    return any(field[1:].startswith(prefix) for field in turn.journal)


def _reported(usage: Usage | None) -> Usage | None:
    return usage if usage != Usage() else None
