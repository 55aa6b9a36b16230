"""What the fake server knows: its options, objects, script and record of requests."""

import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import specification
from .answers import Answer, Json, Prompt, Script, as_answer, echo
from .errors import ApiError, ErrorStyle, invalid
from .faults import Faults
from .parameters import find_problem
from .work import Work

Leaves = Literal["nothing", "input"]
METADATA_PAIRS, METADATA_KEY, METADATA_VALUE = 16, 64, 512


@dataclass
class Options:
    """How strict the server is, and which other server it resembles; may be changed at any time."""

    api_key: str = "sk-fake"
    openapi: bool = field(default_factory=specification.is_at_hand)
    """Check bodies against OpenAI's OpenAPI file as well (needs the file beside the checkout)."""
    context_window: int = 922_000
    """Tokens of input, counted as four characters each."""
    max_message_chars: int = 256_000
    run_lifetime: float = 600
    """Seconds until an Assistants run expires."""
    cancelling: float = 0
    """Seconds for which a cancelled run stays `cancelling`."""
    leaves: Leaves = "nothing"
    """What a failed, cancelled or incomplete response leaves in its conversation."""
    models: dict[str, str | None] | None = None
    """Known models and their shutdown dates; None knows every name."""
    lock: bool = True
    error_style: ErrorStyle = "openai"
    response_conversation: bool = True
    """False: `response.conversation` is null, as at OGX."""
    background_stream: bool = True
    responses: bool = True
    conversations: bool = True
    assistants: bool = True
    bare: bool = False
    """24-hex ids without prefix, null usage and expires_at, as at open-assistant-api."""


VARIANTS: dict[str, Json] = {
    "openai": {},
    "ogx": {
        "lock": False,
        "error_style": "detail",
        "response_conversation": False,
        "background_stream": False,
        "assistants": False,
    },
    "no_conversations": {"conversations": False, "assistants": False},
    "open_assistant_api": {"bare": True, "lock": False, "responses": False, "conversations": False},
}


@dataclass
class Request:
    """One request as it came in and was answered; `path` begins after `/v1`.

    `status` is 0 while it is being answered and where the connection was dropped; `took_effect`
    says that the server did what was asked, whether or not the client came to know.
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
    """The memory behind the routes; `answer` and `queue` are the script of the fake model."""

    def __init__(self, options: Options, seed: int = 0) -> None:
        self.options = options
        self.faults = Faults(seed)
        self.requests: list[Request] = []
        self.conversations: dict[str, Conversation] = {}
        self.threads: dict[str, Thread] = {}
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
        """What is answered when `queue` is empty: a text, an Answer, or a function of the Prompt.

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

    def check_body(self, body: Any, parameters: Any, schema: str) -> Json:
        """The body, if the SDK's type and the OpenAPI schema allow it; raises ApiError if not."""
        if not isinstance(body, dict):
            raise invalid("We could not parse the JSON body of your request.")
        problem = find_problem(body, parameters)
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


def check_metadata(metadata: dict[str, str] | None, path: str = "metadata") -> None:
    pairs = metadata or {}
    if len(pairs) > METADATA_PAIRS:
        raise invalid(
            f"Invalid '{path}': too many properties. Expected an object with at most "
            f"{METADATA_PAIRS} properties, but got an object with {len(pairs)} properties instead.",
            code="object_above_max_properties",
            param=path,
        )
    for key, value in pairs.items():
        if len(key) > METADATA_KEY:
            raise too_long(f"{path}.{key[:16]}...", METADATA_KEY, len(key))
        if len(value) > METADATA_VALUE:
            raise too_long(f"{path}.{key}", METADATA_VALUE, len(value))


def too_long(path: str, limit: int, length: int) -> ApiError:
    return invalid(
        f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead.",
        code="string_above_max_length",
        param=path,
    )


def too_many(path: str, limit: int, length: int) -> ApiError:
    return invalid(
        f"Invalid '{path}': array too long. Expected an array with maximum length {limit}, "
        f"but got an array with length {length} instead.",
        code="array_above_max_length",
        param=path,
    )


def page(objects: Iterable[Json], query: Mapping[str, str]) -> Json:
    """A list object: `order` (default desc), `limit` (1 to 100, default 20), `after`, `before`.

    The objects come in the order of their creation. Those with a `created_at` are sorted by it
    alone, which counts in seconds: within one second the older one comes first in both orders,
    so that a client which takes the newest of one is seen to be wrong.
    """
    rows = list(objects)
    if query.get("order", "desc") != "asc":
        rows = (
            sorted(rows, key=lambda row: -int(row["created_at"]))
            if rows and "created_at" in rows[0]
            else rows[::-1]
        )
    ids = [row["id"] for row in rows]
    if query.get("after"):
        rows = rows[_position(ids, query["after"], "after") + 1 :]
    if query.get("before"):
        rows = rows[: _position(ids, query["before"], "before")]
    limit = _limit(query)
    return {
        "object": "list",
        "data": rows[:limit],
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[:limit][-1]["id"] if rows else None,
        "has_more": len(rows) > limit,
    }


def _position(ids: list[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise invalid(f"No item found with id '{wanted}'.", param=param)
    return ids.index(wanted)


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "20")
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise invalid(
            f"Invalid 'limit': expected an integer from 1 to 100, but got {text!r} instead.",
            code="integer_above_max_value",
            param="limit",
        )
    return int(text)
