"""Conversations for servers that keep none (Ollama, vLLM, LM Studio): each turn sends all of it.

They live in the memory of this process. Another process, or this one after a restart, says
ConversationGone, and the caller rebuilds from its own record; nothing is lost but an answer that
was being written, which no server without background work could have finished anyway.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

from openai import AsyncStream, Timeout
from openai.types.responses import Response

from bot.engines import RunRequest
from bot.engines.answer import Draft
from bot.engines.errors import checked, vendor_errors
from bot.engines.requests import Requests, as_item
from bot.engines.retraction import Place
from bot.engines.streams import UPDATE_SECONDS
from bot.errors import ConversationGone, RunFailed
from bot.models import Record, Run, Update
from bot.settings import Settings

PREFIX = "replay_"
MOST_CONVERSATIONS = 5000


@dataclass
class _Work:
    """The newest run of a conversation."""

    run: Run
    turn_id: str
    draft: Draft
    task: asyncio.Task[None]


@dataclass
class _Memory:
    items: list[dict[str, Any]] = field(default_factory=list)
    work: _Work | None = None


class Replay:
    """The part of the responses engine that answers for conversations which it keeps itself."""

    def __init__(self, requests: Requests, settings: Settings) -> None:
        self._requests = requests
        self._settings = settings
        self._memories: OrderedDict[str, _Memory] = OrderedDict()

    async def aclose(self) -> None:
        tasks = [memory.work.task for memory in self._memories.values() if memory.work]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, history: Sequence[Record]) -> str:
        conversation_id = PREFIX + secrets.token_hex(12)
        items = [_as_item(record.role, record.text) for record in history]
        self._memories[conversation_id] = _Memory(items)
        self._drop_oldest()
        return conversation_id

    def start(self, request: RunRequest) -> Run:
        """Begins to work at once; whatever goes wrong is raised by `follow`."""
        conversation, turn_id = request.conversation, request.turn_id
        memory = self._memory(conversation.id)
        if request.again and memory.work is not None and memory.work.turn_id == turn_id:
            return memory.work.run
        draft = Draft()
        given = [as_item(message, request.files.get(message.ts, ())) for message in request.input]
        body = self._requests.body(request)
        body |= {"input": [*memory.items, *given], "store": False, "stream": True}
        task = asyncio.get_running_loop().create_task(self._work(memory, body, given, draft))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        run = Run(PREFIX + secrets.token_hex(12), conversation.id, time.time(), "in_progress")
        memory.work = _Work(run, turn_id, draft, task)
        return run

    async def follow(self, run: Run) -> AsyncGenerator[Update, None]:
        memory = self._memory(run.conversation_id)
        work = memory.work
        if work is None or work.run.id != run.id:
            raise ConversationGone(run.id)
        shown = None
        while not work.task.done():
            await asyncio.wait({work.task}, timeout=UPDATE_SECONDS)
            if work.draft.seen != shown and not work.task.done():
                shown = work.draft.seen
                yield work.draft.update()
            if time.time() > run.started_at + self._settings.bot_run_deadline:
                self.cancel(run)
                raise RunFailed("expired", "deadline", text=work.draft.text)
        if work.task.cancelled():
            yield Update("cancelled", work.draft.text)
            return
        if work.task.exception() is not None:
            memory.work = None  # the next attempt is to be a new one
        work.task.result()
        yield work.draft.finish()

    def cancel(self, run: Run) -> None:
        """Hangs up, which is how such servers are told to stop."""
        memory = self._memories.get(run.conversation_id)
        if memory is not None and memory.work is not None and memory.work.run.id == run.id:
            memory.work.task.cancel()

    def items(self, run: Run) -> list[Any]:
        """What a run has brought forth."""
        work = self._memory(run.conversation_id).work
        return list(work.draft.items.values()) if work and work.run.id == run.id else []

    def retract(self, conversation_id: str, place: Place, *, again: bool) -> None:
        memory = self._memory(conversation_id)
        alike = [
            item
            for item in memory.items
            if item["role"] == "user" and _words_of(item["content"]) == place.text
        ]
        gone = place.among(alike, again=again)
        memory.items = [item for item in memory.items if item is not gone]

    def delete(self, conversation_id: str) -> None:
        memory = self._memories.pop(conversation_id, None)
        if memory is not None and memory.work is not None:
            memory.work.task.cancel()

    async def _work(
        self, memory: _Memory, body: dict[str, Any], given: list[dict[str, Any]], draft: Draft
    ) -> None:
        # A local server may have to load its model first.
        patience = Timeout(self._settings.bot_run_deadline, connect=5)
        created = await self._requests.create(body, timeout=patience)
        if isinstance(created, AsyncStream):
            async with created:
                with vendor_errors(missing="run"):
                    async for event in created:
                        draft.take(event)
        else:
            draft.take_state(checked(Response, created))
        if draft.ended is None:
            raise RunFailed("failed", "server_error", text=draft.text)
        if draft.status == "completed":
            memory.items += [*given, _as_item("assistant", draft.text)]

    def _memory(self, conversation_id: str) -> _Memory:
        try:
            self._memories.move_to_end(conversation_id)
        except KeyError:
            raise ConversationGone(conversation_id) from None
        return self._memories[conversation_id]

    def _drop_oldest(self) -> None:
        for conversation_id, memory in list(self._memories.items()):
            if len(self._memories) <= MOST_CONVERSATIONS:
                return
            if memory.work is None or memory.work.task.done():
                del self._memories[conversation_id]


def _words_of(content: Any) -> str:
    return str(content if isinstance(content, str) else content[0]["text"])


def _as_item(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}
