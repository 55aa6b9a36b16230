"""Runs of which only the items in the conversation are known: their id was lost in a crash."""

from bot.engines import conversations
from bot.engines.answer import update_of
from bot.engines.api import Api
from bot.engines.items import Item
from bot.errors import RunFailed
from bot.models import Run, Update

PREFIX = "item:"
"""Begins the id of such a run; the id of the question's item follows."""


class AdoptedRuns:
    """Reads answers that a conversation already holds."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def items(self, run: Run) -> list[Item]:
        """What follows the question, or the output of a call."""
        question = run.id.removeprefix(PREFIX)
        return await conversations.items_after(self._api, run.conversation_id, question)

    async def answer(self, run: Run) -> Update:
        """The last update of the run. Raises RunFailed where there is neither answer nor call."""
        lost = RunFailed("failed", "run_not_found")
        return update_of(await self.items(run), lost, takes_calls=run.takes_calls)
