"""Results of tools that may not be kept: they are deleted from the AI server after the turn.

The next turn begins a new conversation from our record, which does not contain them.
"""

from bot.jobs.forget import delete_now
from bot.store.journal import Turn
from bot.turn.rounds_so_far import Progress
from bot.turn.services import Services


async def abandon_unkept(turn: Turn, services: Services, progress: Progress) -> None:
    """Make a conversation with such results an orphan, before the turn is settled.

    The sweep deletes it, unless `delete_unkept` already did.
    """
    if progress.holds_unkept:
        await services.store.conversations.abandon(turn.claim)


async def delete_unkept(turn: Turn, services: Services, progress: Progress) -> None:
    """Delete a conversation with such results, and its runs, after the turn was settled."""
    if progress.holds_unkept and turn.conversation is not None:
        await delete_now(services.store, services.engine, turn.conversation)
