"""What a call of an MCP server has led to, as a `ToolResult` for the model."""

import json
import re

import httpx2
from mcp import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    CallToolResult,
    InputRequiredResult,
)

from bot.telemetry.log import log
from bot.tools.http import HttpReply
from bot.tools.output import cut, render_content
from bot.tools.scrubbing import Scrub
from bot.tools.tool import ToolResult

_SESSION = re.compile(r"\bsession|initiali[sz]ed", re.IGNORECASE)

LARGEST_REQUEST = 200_000
"""Characters of a tool's questions to a person, with its state."""


class ToolResults:
    """The results of one server. The model gets at most `most` characters of each; `scrub` removes
    secrets."""

    def __init__(self, server: str, most: int, scrub: Scrub) -> None:
        self._server = server
        self._most = most
        self._scrub = scrub

    def of(self, found: CallToolResult | InputRequiredResult) -> ToolResult:
        """What the server has answered."""
        if isinstance(found, InputRequiredResult):
            return input_required(found, self._scrub)
        text = render_content(found.content, found.structured_content, self._most, self._scrub)
        return ToolResult(text, is_error=bool(found.is_error))

    def failed(self, error: MCPError, reply: HttpReply) -> ToolResult:
        """A protocol error: a refusal of the server, or no answer of it."""
        if reply.is_missing:
            return self.unknown(f"HTTP status {reply.status}")
        if is_lost(error, reply):
            return self.unknown("timeout" if error.code == REQUEST_TIMEOUT else "closed")
        what = "refused the call"
        if error.code == PARSE_ERROR:
            what = "was called, but its answer cannot be read"
        text = self._scrub(f"The server {self._server} {what}: {error.message}")
        return ToolResult(cut(text, self._most), is_error=True)

    def invalid(self) -> ToolResult:
        """An answer that is no result of a call."""
        log.warning("tool_result_invalid", server=self._server)
        text = f"The call was made, but the result of {self._server} has an unknown form."
        return ToolResult(text, is_error=True)

    def unreachable(self, reason: str) -> ToolResult:
        """A server that cannot be connected."""
        log.warning("tool_server_unreachable", server=self._server, error=reason)
        text = f"The server {self._server} cannot be reached."
        return ToolResult(text, is_error=True, outcome="not_run")

    def unknown(self, reason: str) -> ToolResult:
        """A call that was sent, and whose answer is missing."""
        log.warning("tool_outcome_unknown", server=self._server, reason=reason)
        text = (
            f"No result came back from {self._server} ({reason}). "
            "It is not known whether the call took effect."
        )
        return ToolResult(text, is_error=True, outcome="unknown")


def input_required(found: InputRequiredResult, scrub: Scrub = str) -> ToolResult:
    """The questions of a tool, with its state, which are kept until a person answers."""
    request = scrub(json.dumps(found.model_dump(mode="json", by_alias=True, exclude_none=True)))
    if len(request) > LARGEST_REQUEST:
        text = "The tool asks the person for input, but its question is too long."
        return ToolResult(text, is_error=True, outcome="not_run")
    text = "The tool asks the person for input."
    return ToolResult(text, outcome="input_required", request=json.loads(request))


def is_lost(error: MCPError, reply: HttpReply) -> bool:
    """Whether no answer has come, or only a part of one. The SDK says so by the code of an error;
    some servers use the same codes for what they refuse."""
    return error.code in (CONNECTION_CLOSED, REQUEST_TIMEOUT) and not reply.is_refusal


def has_lost_session(error: MCPError, reply: HttpReply) -> bool:
    """Whether the server does not know our session any more, for example since it was started
    again: the call was not made, and is made in a new one. Servers that follow the protocol say
    404; others 400 with the code of a closed connection, which is also that of other errors."""
    is_bad = reply.status == httpx2.codes.BAD_REQUEST and error.code == CONNECTION_CLOSED
    return reply.status == httpx2.codes.NOT_FOUND or (is_bad and _names_session(error))


def _names_session(error: MCPError) -> bool:
    return bool(_SESSION.search(error.message))
