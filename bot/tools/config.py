"""The file that `BOT_TOOLS` names: MCP servers, policies, built-in tools.

Our own TOML format, or a standard `.mcp.json` (`mcpServers`). `${NAME}` in a value is replaced by
the environment variable, so that the file contains no secrets.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bot.calls import ToolServer, ToolSummary
from bot.errors import ConfigError
from bot.tools.addresses import is_internal_host

VARIABLE = "BOT_TOOLS"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")

AskPolicy = Literal["never", "writes", "always"]
"""When a person is asked before a call: never, before tools that may change something, always."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerConfig(_Strict):
    """One MCP server: `url` (streamable HTTP) or `command` (stdio), and what may be called."""

    url: str | None = None
    headers: dict[str, str] = {}
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: Path | None = None
    ask: AskPolicy = "writes"
    always_ask: tuple[str, ...] = ()
    """Tools (patterns such as `delete_*`) that always need approval, whatever `ask` says."""
    allow: tuple[str, ...] = ("*",)
    """Tools that are offered."""
    deny: tuple[str, ...] = ()
    """Tools that are never offered, even if `allow` names them."""
    channels: tuple[str, ...] = ()
    """Channels (`C…`) in which the server is offered; empty: all."""
    auth: Literal["none", "person"] = "none"
    """`person`: each person connects their own account at the server (OAuth)."""
    internal: bool | None = None
    """Whether a server with `auth = "person"` is internal, so that its authorization server may be,
    too. By default its host decides: see `is_internal_host`."""
    client_id: str = ""
    """Our client at its authorization server, if it was registered by hand."""
    client_secret: str = Field("", repr=False)
    server_side: bool = False
    """Whether the AI server calls the tools itself (Responses only). It gets the `headers`."""
    trust_hints: bool = True
    """Whether the server's own hints (read-only, idempotent) are trusted."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Timeout of a call, in seconds."""
    connect_timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Timeout of connecting and listing, including the start of a server process."""
    output: Annotated[int, Field(ge=200, le=1_000_000)] = 20_000
    """Characters of a result that the model gets."""

    @model_validator(mode="after")
    def _has_one_transport(self) -> "ServerConfig":
        if (self.url is None) == (self.command is None):
            raise ValueError("needs either url or command")
        if self.server_side and self.url is None:
            raise ValueError("server_side needs a url")
        if self.auth == "person" and (self.url is None or self.server_side):
            raise ValueError('auth = "person" needs a url, and no server_side')
        if self.auth != "person" and self.internal is not None:
            raise ValueError('internal is for servers with auth = "person"')
        return self

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("is not an http(s) address")
        return value

    @property
    def is_internal(self) -> bool:
        """Whether the server may name internal addresses."""
        if self.internal is None:
            return is_internal_host(urlsplit(self.url or "").hostname or "")
        return self.internal

    def offers_somewhere(self, tool: str) -> bool:
        """Whether a tool is offered in any channel."""
        return matches(tool, self.allow) and not matches(tool, self.deny)

    def offers(self, tool: str, channel_id: str) -> bool:
        """Whether a tool is offered in a channel. Deny overrides allow."""
        if self.channels and channel_id not in self.channels:
            return False
        return self.offers_somewhere(tool)


class BuiltIn(_Strict):
    """Tools that the AI server runs itself (Responses only)."""

    web_search: bool = False
    code_interpreter: bool = False
    image_generation: bool = False
    file_search: tuple[str, ...] = ()
    """Ids of vector stores (`vs_…`)."""


class ToolsConfig(_Strict):
    """Everything in the file. Without a file there are no tools."""

    servers: dict[str, ServerConfig] = {}
    built_in: BuiltIn = BuiltIn()
    own: tuple[str, ...] = ()
    """Names of our own tools that are offered."""
    rounds: Annotated[int, Field(ge=1, le=50)] = 8
    """Maximum rounds of calls in one turn."""
    approval_hours: Annotated[float, Field(gt=0, le=720)] = 24.0
    """How long people may take to approve a call."""
    calls: Annotated[int, Field(ge=1, le=200)] = 20
    """Maximum calls in one turn."""

    @field_validator("servers")
    @classmethod
    def _names_are_short(cls, value: dict[str, ServerConfig]) -> dict[str, ServerConfig]:
        for name in value:
            if not _SERVER_NAME.fullmatch(name):
                raise ValueError(f"{name!r}: a server's name is 1 to 32 of A-Z a-z 0-9 _ -")
        return value


def summarize(config: ToolsConfig) -> ToolSummary:
    """Notes for people about the configuration."""
    servers = tuple(
        ToolServer(
            *(name, each.ask, each.allow, each.deny, each.always_ask, each.channels),
            server_side=each.server_side,
            personal=each.auth == "person",
        )
        for name, each in config.servers.items()
    )
    built_in = tuple(name for name, is_on in config.built_in if is_on)
    return ToolSummary(servers, config.own, config.rounds, config.calls, built_in)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name fits one of the patterns (`*` and `?` as in file names)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def load_tools(path: Path | None, environment: Mapping[str, str] = os.environ) -> ToolsConfig:
    """Read the file. Raises ConfigError naming the position of the error."""
    if path is None:
        return ToolsConfig()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(VARIABLE, f"{path} cannot be read: {error}") from None
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(VARIABLE, f"{path}: {error}") from None
    if path.suffix == ".json":
        data = _from_mcp_json(path, data)
    try:
        return ToolsConfig.model_validate(_expanded(data, environment, str(path)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(VARIABLE, f"{path}: {place}: {message}") from None


def _from_mcp_json(path: Path, data: Any) -> dict[str, Any]:
    """`{"mcpServers": {…}}` in the format of desktop clients; `type` is redundant."""
    servers = data.get("mcpServers") if isinstance(data, dict) else None
    if not isinstance(servers, dict):
        raise ConfigError(VARIABLE, f"{path}: there is no object mcpServers")
    kept = {}
    for name, server in servers.items():
        if not isinstance(server, dict):
            raise ConfigError(VARIABLE, f"{path}: mcpServers.{name} is not an object")
        if not server.get("disabled"):
            kept[name] = {k: v for k, v in server.items() if k in ServerConfig.model_fields}
    return {"servers": kept}


def _expanded(value: Any, environment: Mapping[str, str], place: str) -> Any:
    if isinstance(value, dict):
        return {k: _expanded(v, environment, f"{place}: {k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(each, environment, place) for each in value]
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        found = environment.get(match[1])
        if not found:
            raise ConfigError(VARIABLE, f"{place}: the environment variable {match[1]} is not set")
        return found

    return _REFERENCE.sub(look_up, value)
