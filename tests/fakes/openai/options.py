"""The strictness of the fake, and the other server that it resembles."""

from dataclasses import dataclass
from typing import Literal

from .answers import Json
from .errors import ErrorStyle

Leaves = Literal["nothing", "input"]


@dataclass
class Options:
    """The strictness of the server, and the other server that it resembles; may be changed at any
    time."""

    api_key: str = "sk-fake"
    more_keys: frozenset[str] = frozenset()
    """Keys of other projects: none finds the conversations of another."""
    exhausted: frozenset[str] = frozenset()
    """Keys without quota: no run starts."""
    strict: bool = True
    """False: bodies are not checked at all; benchmarks do not measure the fake."""
    openapi: bool = True
    """Check bodies against OpenAI's documented types as well, see `specification.py`."""
    context_window: int = 922_000
    """Tokens of input, counted as four characters each."""
    max_message_chars: int = 256_000
    run_lifetime: float = 600
    """Seconds until an Assistants run expires."""
    cancelling: float = 0
    """Seconds for which a cancelled run stays `cancelling`."""
    cancels: bool | Literal["late"] = True
    """False: a cancellation is answered with 200, but the run continues. late: it just ended."""
    leaves: Leaves = "nothing"
    """The items that a failed, cancelled or incomplete response leaves in its conversation."""
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
    chat_completions: bool = True
    model_pages: bool = True
    """False: there is a list of models, but no page for each."""
    indexes: bool = True
    """False: events have no output_index, content_index and sequence_number, as at llama.cpp."""
    usage: bool = True
    """False: no tokens are reported."""
    takes_files: bool = True
    """False: images and documents are refused with `file_status`."""
    takes_tools: bool = True
    """False: requests with tools are refused, as by Ollama for most models."""
    hosted_tools: bool = True
    """False: tools other than functions are refused."""
    allowed_tools: bool = True
    """False: a `tool_choice` that is an object is refused, as by vLLM."""
    file_status: int = 400
    alternating: bool = False
    """Chat messages must alternate between user and assistant, as many templates demand."""
    hears: bool = False
    """Messages may have `input_audio` parts, which OpenAI's own server does not take here."""
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
    "chat_completions": {
        "conversations": False,
        "assistants": False,
        "responses": False,
        "alternating": True,
    },
    "llama_cpp": {
        "conversations": False,
        "assistants": False,
        "indexes": False,
        "model_pages": False,
        "takes_files": False,
        "file_status": 500,
    },
    "open_assistant_api": {"bare": True, "lock": False, "responses": False, "conversations": False},
}
