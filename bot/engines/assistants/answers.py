"""Reads what a run has written, called and cited."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from bot.engines.api import Api
from bot.engines.assistants.lookup import created_at
from bot.engines.items import Item, fields, text
from bot.engines.runs import PAUSED, PartialRun, finish, read, text_of_message, waiting_calls
from bot.errors import BotError, RunFailed
from bot.models import Citation, Json, Run, Update


class Answers:
    """The answers of runs."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def final(self, run: Run, partial: PartialRun, state: Item, *, acted: bool) -> Update:
        """The answer of a run that has ended in this `state`; `acted`: it may have used tools."""
        update = finish(state, await self._messages(run), partial, acted=acted)
        return replace(update, citations=await self._named(update.citations))

    async def with_calls(self, run: Run, partial: PartialRun) -> Update:
        """The calls of a run that waits, and what it has written by now."""
        messages = await self._messages(run)
        written, citations = read(messages)
        return Update(
            PAUSED,
            written,
            cards=tuple(partial.cards.values()),
            citations=await self._named(citations),
            last_item_id=text(messages[-1].get("id")) if messages else run.after,
            calls=waiting_calls(fields(partial.run)),
        )

    async def salvage(self, run: Run, partial: PartialRun, error: RunFailed) -> Update:
        """The answer of a run that the server has lost, if its thread contains one. Raises `error`
        if not."""
        messages = await self._messages(run)
        whole = [each for each in messages if each.get("status") in (None, "completed")]
        if not any(text_of_message(each).strip() for each in whole):
            raise error
        state = {**fields(partial.run), "status": "completed"}
        return finish(state, whole, PartialRun(state))

    async def used_tools(self, run: Run, partial: PartialRun) -> bool:
        """Whether a run may have used the assistant's own tools."""
        if not fields(partial.run).get("tools"):
            return False
        path = ("threads", run.conversation_id, "runs", run.id, "steps")
        try:
            done = await self._api.all(*path, keep=_only_type, order="asc")
        except BotError:
            return True
        return any(step.get("type") == "tool_calls" for step in done)

    async def _named(self, citations: Sequence[Citation]) -> tuple[Citation, ...]:
        """The citations with the names of their files, which must be fetched."""
        names: dict[str, str] = {}
        for file_id in dict.fromkeys(citation.file_id for citation in citations):
            if file_id:
                with suppress(BotError):
                    found = await self._api.get("files", file_id, missing="file")
                    names[file_id] = text(found.get("filename"))
        return tuple(replace(c, filename=names.get(c.file_id or "")) for c in citations)

    async def _messages(self, run: Run) -> list[Item]:
        """The messages of the run, in order."""
        path = ("threads", run.conversation_id, "messages")
        messages = await self._api.all(*path, run_id=run.id, order="asc")
        if messages and created_at(messages[0]) > created_at(messages[-1]):
            messages.reverse()  # the server ignores `order`
        # Some servers ignore `run_id`, or do not report the run of a message.
        asked = max((i for i, m in enumerate(messages) if m.get("role") == "user"), default=-1)
        ours: list[Item] = [
            message
            for index, message in enumerate(messages)
            if message.get("role") == "assistant"
            and (message.get("run_id") == run.id or (not message.get("run_id") and index > asked))
        ]
        before = [index for index, message in enumerate(ours) if message.get("id") == run.after]
        return ours[before[0] + 1 :] if run.after and before else ours


def _only_type(step: Json) -> Json:
    return {"type": step.get("type")}
