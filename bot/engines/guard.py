"""The AI server behind circuit breakers: one for each model, and one for everything else."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from bot.calls import FunctionOutput
from bot.engines import Engine, RunRequest
from bot.engines.wrapper import EngineWrapper
from bot.media import Attachment
from bot.models import Conversation, MadeFile, Message, Record, Run, Thread, Update
from bot.store import Circuits


class GuardedEngine(EngineWrapper):
    """Sends nothing to a server that is down: raises DependencyDown while a circuit is open."""

    def __init__(self, engine: Engine, circuits: Circuits, default_model: str) -> None:
        super().__init__(engine)
        self._circuits = circuits
        self._default_model = default_model
        self._server = f"ai:{engine.name}"

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        async with self._circuits.guard(self._server):
            return await self._engine.begin(thread, user_id, history)

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        async with self._circuits.guard(self._server):
            return await self._engine.append(
                conversation, message, turn_id=turn_id, again=again, files=files
            )

    async def start(self, request: RunRequest) -> Run:
        model = request.options.model or self._default_model
        async with self._circuits.guard(f"{self._server}:{model}"):
            return await self._engine.start(request)

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        async with aclosing(self._engine.follow(run, conversation)) as updates:
            async with self._circuits.guard(self._server):
                update = await anext(updates, None)
            while update is not None:
                yield update
                async with self._circuits.guard(self._server, ongoing=True):
                    update = await anext(updates, None)

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        async with self._circuits.guard(self._server):
            await self._engine.close_calls(conversation, run, outputs)

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        async with self._circuits.guard(self._server):
            return await self._engine.fetch(run, file)

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        async with self._circuits.guard(self._server):
            await self._engine.retract(conversation, history, ts, again=again)

    async def delete(self, conversation_id: str) -> None:
        async with self._circuits.guard(self._server):
            await self._engine.delete(conversation_id)
