"""The types of tools, calls and results."""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.calls import CallOutcome, Viewer

DEEPEST = 64
"""Maximum depth of the arguments of a call."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `parameters` is its JSON Schema (type object).

    `server` is the configured name of the MCP server, empty for one of our own tools. The hints
    are those of MCP's `ToolAnnotations`; a missing hint has MCP's pessimistic default.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    server: str = ""
    title: str = ""
    read_only: bool = False
    idempotent: bool = False
    open_world: bool = True
    server_side: bool = False
    """The AI server calls it; we only approve."""
    connects: bool = False
    """It offers to connect the person's account; there is no such tool at the server."""
    accepted: Mapping[str, Any] | None = None
    """`parameters` in the form that AI servers accept, if it differs: see `accepted_schema`."""
    retained: bool = True
    """Whether results may be kept: in the journal, in our record, at the AI server."""

    @property
    def offered_parameters(self) -> Mapping[str, Any]:
        """The schema of the arguments for the AI server."""
        return self.parameters if self.accepted is None else self.accepted

    @property
    def repeatable(self) -> bool:
        """Whether a call of unknown outcome may be repeated."""
        return self.read_only or self.idempotent

    @property
    def label(self) -> str:
        """The label for people: `server: tool`, or only the tool if it is our own."""
        shown = self.title or self.name
        return f"{self.server}: {shown}" if self.server else shown


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call. `text` is for the model, bounded in length."""

    text: str
    is_error: bool = False
    outcome: CallOutcome = "done"
    request: Mapping[str, Any] = field(default_factory=dict)
    """With `input_required`: the server's questions and its opaque state, as JSON data."""


class Source(Protocol):
    """Slack, as far as the viewer may see it. Raises ValueError with the reason why not."""

    async def read_thread(self, link: str, viewer: Viewer) -> str:
        """The thread of a linked message."""
        ...

    async def read_canvas(self, link: str, viewer: Viewer) -> str:
        """The text of a linked canvas."""
        ...

    async def search(self, query: str, viewer: Viewer) -> str:
        """What the search of the workspace finds."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a tool is called, and where."""

    team_id: str
    channel_id: str
    thread_ts: str
    user_id: str
    authors: tuple[str, ...] = ()
    """All authors of the messages that the turn answers."""
    action_token: str = field(default="", repr=False)
    source: Source | None = None
    invite: Callable[[str], Awaitable[str]] | None = None
    """Sends the person a private link to connect an account at a server; returns text for the
    model."""

    @property
    def only_author(self) -> str:
        """The person whose account may be used; "" if several people have written."""
        return self.user_id if set(self.authors) <= {self.user_id} else ""

    @property
    def viewer(self) -> Viewer:
        """The people for whom Slack is read."""
        authors = self.authors or (self.user_id,)
        return Viewer(self.team_id, self.channel_id, authors, self.action_token)


OwnCall = Callable[[Mapping[str, Any], Caller], Awaitable[str]]
"""The function of one of our own tools: takes arguments, returns text for the model.

Raises ValueError for invalid arguments; its message goes to the model.
"""


@dataclass(frozen=True, slots=True)
class OwnTool:
    """A tool of this repository: a module in `bot/tools/own` with a `TOOL`."""

    tool: Tool
    call: OwnCall


def parse_arguments(text: str) -> dict[str, Any]:
    """The model's arguments. Raises ValueError unless they are a JSON object that a server can get
    exactly as people see it."""
    try:
        value = json.loads(text or "{}", parse_constant=_no_number, parse_float=_number)
        json.dumps(value, ensure_ascii=False).encode()  # lone surrogates have no encoding
    except (ValueError, RecursionError) as error:
        raise ValueError("the arguments are not valid JSON") from error
    if not isinstance(value, dict):
        raise ValueError("the arguments are not a JSON object")
    if _depth(value) > DEEPEST:
        raise ValueError("the arguments are nested too deeply")
    return value


def _number(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _depth(value: Any) -> int:
    """The depth of nested lists and objects; counting stops at one more than `DEEPEST`."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        lists = [each.values() if isinstance(each, dict) else each for each in level]
        level = [part for parts in lists for part in parts if isinstance(part, dict | list)]
        depth += 1
    return depth
