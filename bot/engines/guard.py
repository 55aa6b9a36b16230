"""The AI server behind circuit breakers: one for each model, and one for everything else."""

from collections.abc import Sequence

from bot.calls import FunctionOutput
from bot.engines import Engine, RunRequest, Updates
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

    def follow(self, run: Run, conversation: Conversation) -> Updates:
        updates = self._engine.follow(run, conversation)
        return _GuardedUpdates(updates, self._circuits, self._server)

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


class _GuardedUpdates:
    """Updates, each requested within the circuit. A class, because a generator takes twice the
    memory, and thousands of turns wait inside."""

    __slots__ = ("_circuits", "_has_begun", "_server", "_updates")

    def __init__(self, updates: Updates, circuits: Circuits, server: str) -> None:
        self._updates = updates
        self._circuits = circuits
        self._server = server
        self._has_begun = False

    def __aiter__(self) -> "_GuardedUpdates":
        return self

    async def __anext__(self) -> Update:
        async with self._circuits.guard(self._server, ongoing=self._has_begun):
            update = await self._updates.__anext__()
        self._has_begun = True
        return update

    async def aclose(self) -> None:
        await self._updates.aclose()
