"""Functions that the model may call, its calls, and their outputs."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

LONGEST_NAME = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")

CallOutcome = Literal["done", "not_run", "unknown", "input_required"]
"""Whether a call took effect. `unknown`: it was sent and no result came back.

`input_required`: the server asks the person for something first (MCP elicitation)."""


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as the model sees it. `parameters` is a JSON Schema (type object)."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call that the model asks for; `id` and `arguments` are as the server sent them."""

    id: str
    name: str
    arguments: str
    server: str = ""
    """The MCP server, if the AI server makes the call itself once it is approved."""

    @property
    def plain_name(self) -> str:
        """The name in a form that servers accept: a model may invent any other."""
        return _FOREIGN.sub("_", self.name)[:LONGEST_NAME] or "unknown"

    @property
    def plain_arguments(self) -> str:
        """The arguments in a form that servers accept: always a JSON object."""
        try:
            is_object = isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            is_object = False
        return self.arguments if is_object else "{}"


@dataclass(frozen=True, slots=True)
class FunctionOutput:
    """The output of a call for the model."""

    call: FunctionCall
    text: str
    approved: bool = False
    """For a call that the AI server makes: whether it may be made. If not, `text` says why."""


@dataclass(frozen=True, slots=True)
class HostedCall:
    """A call that the AI server made itself: of a tool of an MCP server, or of a built-in tool.

    `server` is empty for a built-in tool. `arguments` and `text`, the result, are bounded.
    `approval` is the id of the call that asked for approval, if any.
    """

    id: str
    name: str
    arguments: str
    server: str = ""
    text: str = ""
    outcome: Literal["done", "failed", "unknown"] = "done"
    approval: str = ""

    @property
    def label(self) -> str:
        """The label for people."""
        return f"{self.server}: {self.name}" if self.server else self.name


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom something is read in Slack: all authors of a turn's messages; and the channel that
    shows it. `action_token` is Slack's permission to search, valid for minutes after a message."""

    team_id: str
    channel_id: str
    authors: tuple[str, ...]
    action_token: str = field(default="", repr=False)


class ConnectedAccounts(Protocol):
    """People's own accounts at tool servers."""

    async def connected(self, team_id: str, user_id: str) -> list[str]:
        """The servers at which the person has an account."""
        ...

    async def disconnect(self, team_id: str, user_id: str, server: str) -> bool:
        """Revoke and forget the account. Returns whether there was one."""
        ...

    async def confirm(self, team_id: str, user_id: str, code: str) -> str:
        """Connect the account that waits for a code of this person; returns its server, or ""."""
        ...


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A configured server, as people see it. `channels` is empty for all channels."""

    name: str
    ask: str
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    always_ask: tuple[str, ...]
    channels: tuple[str, ...]
    server_side: bool = False
    """Whether the AI server calls it."""
    personal: bool = False
    """Whether each person uses it with their own account."""


@dataclass(frozen=True, slots=True)
class ToolSummary:
    """All that is configured: the servers, the names of our own tools and of those that the AI
    server runs, and the bounds of a turn."""

    servers: tuple[ToolServer, ...] = ()
    own: tuple[str, ...] = ()
    rounds: int = 0
    calls: int = 0
    built_in: tuple[str, ...] = ()
