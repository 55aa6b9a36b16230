"""One engine for all servers of OpenAI's protocols, which detects the protocol.

A server that keeps conversations is used directly. For all others this process keeps them, see
`bot.engines.replay`. The prefix of an id identifies the engine of a conversation or run.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bot.calls import FunctionOutput
from bot.engines import RunRequest, Updates
from bot.engines.api import Api
from bot.engines.client import open_client
from bot.engines.replay import PREFIX as REPLAYED
from bot.engines.replay import ReplayEngine
from bot.engines.responses import ResponsesEngine
from bot.engines.sent_with_run import SentWithRun
from bot.errors import ConversationGone, RunFailed
from bot.media import FileKind
from bot.models import Conversation, MadeFile, Record, Run, Thread
from bot.settings import Settings
from bot.telemetry.log import log
from bot.timing import EngineTiming


@asynccontextmanager
async def open_responses(
    settings: Settings, timing: EngineTiming = EngineTiming()
) -> AsyncIterator["Router"]:
    """Open the engine on the server that the settings name and close it in the end."""
    async with open_client(settings, timing) as client:
        api = Api(client, timing, settings.openai_model)
        native, replay = ResponsesEngine(api, settings), ReplayEngine(api, settings)
        router = Router(native, replay, settings.bot_protocol)
        try:
            yield router
        finally:
            await router.aclose()


class Router(SentWithRun):
    """`bot.engines.Engine` over `native`, or over `replay` if the server keeps no conversations.

    `protocol` is the setting BOT_PROTOCOL: anything but "auto" tries nothing else.
    """

    name = "responses"
    reads: frozenset[FileKind] = ResponsesEngine.reads

    def __init__(
        self, native: ResponsesEngine, replay: ReplayEngine, protocol: str = "auto"
    ) -> None:
        self.native = native
        self.replay = replay
        self._falls_back = protocol == "auto"
        self._server_remembers = self._falls_back or protocol == "conversations"

    async def aclose(self) -> None:
        await self.native.aclose()
        await self.replay.aclose()

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        if self._server_remembers:
            try:
                return await self.native.begin(thread, user_id, history)
            except RunFailed as error:
                if error.reason != "endpoint_not_found" or not self._falls_back:
                    raise
            log.info("server_without_conversations")
            self._server_remembers = False
        return await self.replay.begin(thread, user_id, history)

    async def start(self, request: RunRequest) -> Run:
        """Raises ConversationGone for a conversation of a protocol that is no longer spoken."""
        engine = self._engine(request.conversation.id)
        if not self._falls_back and engine is self.native and not self._server_remembers:
            raise ConversationGone(request.conversation.id)
        return await engine.start(request)

    def follow(self, run: Run, conversation: Conversation) -> Updates:
        return self._engine(run.conversation_id).follow(run, conversation)

    async def cancel(self, run: Run) -> None:
        await self._engine(run.conversation_id).cancel(run)

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        await self._engine(conversation.id).close_calls(conversation, run, outputs)

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        return await self._engine(run.conversation_id).fetch(run, file)

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        engine = self._engine(conversation.id)
        await engine.retract(conversation, history, ts, again=again)

    async def delete(self, conversation_id: str) -> None:
        await self._engine(conversation_id).delete(conversation_id)

    async def delete_run(self, run_id: str) -> None:
        await self.native.delete_run(run_id)

    def _engine(self, conversation_id: str) -> ResponsesEngine | ReplayEngine:
        return self.replay if conversation_id.startswith(REPLAYED) else self.native
