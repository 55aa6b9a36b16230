"""An engine around another one; a subclass overrides what it changes."""

from collections.abc import Sequence

from bot.calls import FunctionOutput
from bot.engines import Engine, RunRequest, Updates
from bot.media import Attachment
from bot.models import Conversation, MadeFile, Message, Record, Run, Thread


class EngineWrapper:
    """Passes every call on. See `Engine` for what each one does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.name
        self.appends = engine.appends
        self.reads = engine.reads

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
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
        return await self._engine.append(
            conversation, message, turn_id=turn_id, again=again, files=files
        )

    async def start(self, request: RunRequest) -> Run:
        return await self._engine.start(request)

    def follow(self, run: Run, conversation: Conversation) -> Updates:
        return self._engine.follow(run, conversation)

    async def cancel(self, run: Run) -> None:
        await self._engine.cancel(run)

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        await self._engine.close_calls(conversation, run, outputs)

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        return await self._engine.fetch(run, file)

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        await self._engine.retract(conversation, history, ts, again=again)

    async def delete(self, conversation_id: str) -> None:
        await self._engine.delete(conversation_id)

    async def delete_run(self, run_id: str) -> None:
        await self._engine.delete_run(run_id)
