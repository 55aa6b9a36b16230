"""The port to the AI server, and the choice of an adapter.

An engine keeps conversations and runs models on them. The adapters are listed in
`bot.settings.values.ENGINES`; plug-ins may add others.

Calls that change something may be repeated after a crash or a timeout. `again=True` means that an
earlier attempt at the same step may have reached the server: the engine looks before it acts.
"""

import importlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot import plugins
from bot.calls import FunctionOutput, FunctionSpec
from bot.engines import sdk_types
from bot.media import Attachment, FileKind
from bot.models import Conversation, MadeFile, Message, Record, Run, RunOptions, Thread, Update
from bot.settings import Settings
from bot.settings.values import ENGINES
from bot.timing import EngineTiming

sdk_types.install()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The request for a run on a conversation, to answer `messages`."""

    conversation: Conversation
    messages: Sequence[Message]
    options: RunOptions
    """An empty value is up to the engine: the settings apply, or the assistant's own values."""
    turn_id: str
    again: bool = False
    """An earlier attempt to start this run may have reached the server."""
    failed: frozenset[str] = frozenset()
    """Ids of runs of this turn that failed. They are not adopted; the messages may be kept."""
    files: Mapping[str, Sequence[Attachment]] = field(default_factory=dict)
    """The files of the messages by their ts; empty if the engine `appends`."""
    restarted: bool = False
    """A run for some of the messages was cancelled on this conversation. If part of that run is
    left there, `start` raises ConversationGone.
    """
    functions: tuple[FunctionSpec, ...] = ()
    """The functions of all channels, so that the list is always the same (for prompt caches)."""
    hosted: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Tools that the AI server runs itself, in the form of the Responses protocol. They may contain
    credentials."""
    withheld: frozenset[str] = frozenset()
    """The tools that may not be called here: names of functions, and `mcp:` with the label of a
    server."""
    may_call: bool = True
    """False: the functions are named, since the conversation holds calls, but none may be called.
    """
    asked_by: Run | None = None
    """The run whose calls `outputs` answers; None for the first run of a conversation in a turn."""
    asked_after: str = ""
    """The newest item of `asked_by`."""
    outputs: tuple[FunctionOutput, ...] = ()
    """One for each call that `asked_by` ended with."""
    earlier: tuple[FunctionOutput, ...] = ()
    """The outputs of all earlier rounds, in order. Without `asked_by` the conversation lacks them,
    because the calls were made on another conversation of the same turn."""

    @property
    def takes_calls(self) -> bool:
        """Whether the run may end with calls."""
        return self.may_call and bool(self.functions or self.allowed_servers)

    @property
    def allowed(self) -> tuple[FunctionSpec, ...]:
        """The functions that may be called here."""
        return tuple(each for each in self.functions if each.name not in self.withheld)

    @property
    def allowed_servers(self) -> tuple[str, ...]:
        """The labels of the MCP servers whose tools the AI server may call here."""
        labels = (str(each["server_label"]) for each in self.hosted if each["type"] == "mcp")
        return tuple(label for label in labels if f"mcp:{label}" not in self.withheld)

    @property
    def input(self) -> tuple[Message, ...]:
        """All messages for the run: those owed from earlier turns come first."""
        return (*self.conversation.owed, *self.messages)


class Updates(Protocol):
    """The progress of a run, an update at a time: an async generator, or what behaves like one."""

    def __aiter__(self) -> AsyncIterator[Update]: ...
    def __anext__(self) -> Awaitable[Update]: ...
    def aclose(self) -> Awaitable[None]: ...


class Engine(Protocol):
    """The interface to an AI server. All methods raise the errors of `bot.errors`."""

    name: str
    appends: bool
    """Whether `append` stores messages; otherwise they are sent with the run, and it is not
    called."""
    reads: frozenset[FileKind]
    """The kinds of files that it can send to a model."""

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        """Open a conversation, filled with `history` in order; returns its id."""
        ...

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        """Store one message and return the id it got (an engine that `appends` only)."""
        ...

    async def start(self, request: RunRequest) -> Run:
        """Start the run that answers the request's messages, which were appended before.

        Returns as soon as the run has an id, so that it can be saved. With `again` the run of an
        earlier attempt is adopted if there is one. Raises Retry while the server is still working
        on an earlier run whose id is unknown.
        """
        ...

    def follow(self, run: Run, conversation: Conversation) -> Updates:
        """Yield progress until the run has ended; another process may follow it again at any time.

        The last update is `completed` (or `cancelled`, if `cancel` was called), or has calls and
        is `completed` or `requires_action`. Every other end raises RunFailed. Past the deadline
        the run is cancelled and RunFailed("deadline") raised. ConversationGone means that the run
        and its conversation are lost. A caller that does not read it to the end must close it
        (`aclosing`), which closes a stream.
        """
        ...

    async def cancel(self, run: Run) -> None:
        """Cancel a run; no effect if it has already ended."""
        ...

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        """Give the calls of a run their outputs without a further run: the turn ends here.

        A server refuses a conversation in which a call has no output.
        """
        ...

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        """The bytes of a file that the run made. Raises RunFailed if it is gone."""
        ...

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        """Delete a person's message with this `ts`; `history` is our record, which contains it."""
        ...

    async def delete(self, conversation_id: str) -> None:
        """Delete a conversation with all its contents; no error if it is already gone."""
        ...

    async def delete_run(self, run_id: str) -> None:
        """Delete what the server stores of a run outside its conversation, if anything."""
        ...


@asynccontextmanager
async def open_engine(
    settings: Settings, timing: EngineTiming = EngineTiming()
) -> AsyncIterator[Engine]:
    """Open the engine that `BOT_ENGINE` names, and close it at the end."""
    open_it = _opener(settings.bot_engine)
    async with open_it(settings, timing) as engine:
        yield engine


def _opener(name: str) -> Any:
    if name not in ENGINES:
        return plugins.load(plugins.ENGINES, name)
    module, _, function = ENGINES[name].partition(":")
    return getattr(importlib.import_module(module), function)


def preload(settings: Settings) -> None:
    """Import the engine that `open_engine` will open, unless it is a plug-in."""
    if settings.bot_engine in ENGINES:
        _opener(settings.bot_engine)
