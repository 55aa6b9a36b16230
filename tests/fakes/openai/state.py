"""The state of the fake server: its objects, its script, its record of requests."""

import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from . import specification
from .answers import Answer, Json, Prompt, Script, as_answer, echo
from .errors import invalid
from .faults import Fault, Faults
from .limits import check_metadata
from .options import Options
from .parameters import find_problem
from .work import Work

BODY: web.RequestKey[Any] = web.RequestKey("body", object)
FAULT: web.RequestKey[Fault | None] = web.RequestKey("fault", Fault)


@dataclass
class Request:
    """One request as it came in and was answered; `path` begins after `/v1`.

    `status` is 0 while it is in progress and if the connection was dropped; `took_effect` says that
    the server did what was asked, whether or not the client got the response.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    time: float
    status: int = 0
    took_effect: bool = False
    fault: str | None = None
    open: bool = True
    key: str = ""
    """Whether it is being answered, or its stream is still read."""


@dataclass
class Conversation:
    id: str
    metadata: dict[str, str]
    created_at: int
    items: list[Json] = field(default_factory=list)
    active: Work | None = None

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "object": "conversation",
            "created_at": self.created_at,
            "metadata": self.metadata,
        }


@dataclass
class Thread:
    id: str
    metadata: dict[str, str]
    created_at: int
    tool_resources: Json
    messages: list[Json] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "object": "thread",
            "created_at": self.created_at,
            "metadata": self.metadata,
            "tool_resources": self.tool_resources,
        }


@dataclass(frozen=True)
class StoredFile:
    id: str
    filename: str
    content: bytes
    purpose: str
    created_at: int
    expires_at: int | None = None

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
        }


class State:
    """The data behind the routes; `answer` and `queue` are the script of the fake model."""

    def __init__(self, options: Options, seed: int = 0) -> None:
        self.options = options
        self.faults = Faults(seed)
        self.requests: list[Request] = []
        self.conversations: dict[str, Conversation] = {}
        self.threads: dict[str, Thread] = {}
        self.deleted_threads: dict[str, Thread] = {}
        self.responses: dict[str, Work] = {}
        self.runs: dict[str, Work] = {}
        self.files: dict[str, StoredFile] = {}
        self.containers: dict[str, dict[str, StoredFile]] = {}
        self.assistants: dict[str, Json] = {}
        self.prompts: list[Prompt] = []
        self.queue: deque[Answer | Script | str] = deque()
        self._answer: Answer | Script | str = echo

    @property
    def answer(self) -> Answer | Script | str:
        """The answer when `queue` is empty: a text, an Answer, or a function of the Prompt.

        Assigning a list fills the queue instead: one entry for each request, in order.
        """
        return self._answer

    @answer.setter
    def answer(self, value: "Answer | Script | str | list[Answer | Script | str]") -> None:
        if isinstance(value, list):
            self.queue = deque(value)
        else:
            self._answer = value

    def decide(self, prompt: Prompt) -> Answer:
        self.prompts.append(prompt)
        chosen = self.queue.popleft() if self.queue else self._answer
        return as_answer(chosen(prompt) if callable(chosen) else chosen)

    def new_id(self, prefix: str) -> str:
        if self.options.bare:
            return secrets.token_hex(12)
        return f"{prefix}_{secrets.token_hex(16)}"

    def now(self) -> int:
        return int(time.time())

    def check_body(self, body: Any, parameters: Any, schema: str, in_path: str = "") -> Json:
        """The body, if the SDK's type and the OpenAPI schema allow it; raises ApiError if not.

        `in_path` is a parameter of the SDK's type that is no part of the body.
        """
        if not isinstance(body, dict):
            raise invalid("We could not parse the JSON body of your request.")
        if not self.options.strict:
            return body
        given = {in_path: "", **body} if in_path else body
        problem = find_problem(given, parameters)
        if problem is not None:
            raise problem.as_error()
        error = specification.find_error(body, schema) if self.options.openapi else None
        if error is not None:
            raise error
        check_metadata(body.get("metadata"))
        return body

    def check_model(self, model: str | None) -> None:
        known = self.options.models
        if model is not None and known is not None and model not in known:
            message = f"The requested model '{model}' does not exist."
            raise invalid(message, code="model_not_found", param="model")
