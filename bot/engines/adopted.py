"""Adopted runs: their ids were lost in a crash, so only their items in the conversation are
known."""

from bot.engines import conversations
from bot.engines.answer import update_of
from bot.engines.api import Api
from bot.engines.items import Item
from bot.errors import RunFailed
from bot.models import Run, Update

PREFIX = "item:"
"""The prefix of such a run's id; the id of the question's item follows."""


class AdoptedRuns:
    """Reads answers from the items of a conversation."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def items(self, run: Run) -> list[Item]:
        """The items after the question, or after the output of a call."""
        question = run.id.removeprefix(PREFIX)
        return await conversations.items_after(self._api, run.conversation_id, question)

    async def answer(self, run: Run) -> Update:
        """The last update of the run. Raises RunFailed if there is neither an answer nor a call."""
        lost = RunFailed("failed", "run_not_found")
        return update_of(await self.items(run), lost, takes_calls=run.takes_calls)
