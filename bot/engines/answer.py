"""The answer of a response: its text, sources and steps, whole or as far as it is written."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent

from bot.engines.errors import DETAIL_CHARS
from bot.errors import RunFailed
from bot.models import Citation, MadeFile, RunStatus, Step, Update, Usage

# Items and events are read by their attributes, not by their classes: servers leave out what the
# SDK's types promise, and the SDK passes on unknown kinds unchecked.
Item = Any

WORKING = frozenset({"queued", "in_progress"})

_TITLES: Mapping[str, str] = {
    "web_search_call": "Searching the web",
    "file_search_call": "Searching files",
    "code_interpreter_call": "Running code",
    "image_generation_call": "Drawing an image",
    "computer_call": "Using a computer",
    "shell_call": "Running a command",
    "local_shell_call": "Running a command",
}
_STEP_STATUS: Mapping[str, Any] = {
    "completed": "complete",
    "failed": "error",
    "incomplete": "error",
}


@dataclass
class Draft:
    """What is known of an answer while it is being written.

    `seen` is the number of the last event taken in; `ended` the response as it ended, once known.
    """

    id: str = ""
    items: dict[int, Item] = field(default_factory=dict)
    status: RunStatus = "queued"
    seen: int = -1
    ended: Response | None = None

    def take(self, event: ResponseStreamEvent) -> None:
        """Take in one event of the stream; unknown and repeated ones change nothing."""
        data: Any = event
        number = getattr(data, "sequence_number", None)
        if number is not None:
            if number <= self.seen:
                return
            self.seen = number
        response = getattr(data, "response", None)
        if response is not None:
            self.take_state(response)
            return
        kind = getattr(data, "type", "")
        if kind in ("response.output_item.added", "response.output_item.done"):
            self.items[data.output_index] = data.item
        elif kind == "response.content_part.added":
            _put(self._content(data), data.content_index, data.part)
        elif kind == "response.output_text.delta":
            self._part(data, "output_text").text += data.delta
        elif kind == "response.refusal.delta":
            self._part(data, "refusal").refusal += data.delta
        elif kind == "response.output_text.annotation.added":
            part = self._part(data, "output_text")
            part.annotations = [*(part.annotations or ()), data.annotation]

    def take_state(self, response: Response) -> None:
        """Take in the response as an event or a poll shows it."""
        status = response.status or "completed"
        self.id, self.status = response.id, status
        output = dict(enumerate(getattr(response, "output", None) or ()))
        # Of an unfinished response some servers show less than they have streamed.
        final = status == "completed" and output
        if final or len(read_text(output.values())) > len(self.text):
            self.items = output
        if status not in WORKING:
            self.ended = response

    @property
    def text(self) -> str:
        return read_text(self.items.values())

    def update(self) -> Update:
        text, citations = read(self.items.values())
        return Update(self.status, text, steps=_steps(self.items.values()), citations=citations)

    def finish(self) -> Update:
        """The last update of the run. Raises RunFailed where it ended without a whole answer."""
        response, status = self.ended, self.status
        if response is None:
            raise ValueError("the run has not ended")
        text, citations = read(self.items.values())
        usage, model = _usage(response), getattr(response, "model", None) or ""
        if status == "incomplete":
            details = response.incomplete_details
            reason = (details and details.reason) or "incomplete"
            raise RunFailed(status, reason, text=text, usage=usage, model=model)
        if status not in ("completed", "cancelled"):
            error = response.error
            code = (error and error.code) or "server_error"
            detail = ((error and error.message) or "")[:DETAIL_CHARS]
            raise RunFailed("failed", code, text=text, detail=detail, usage=usage, model=model)
        items = list(self.items.values())
        files = made_files(items)
        if status == "completed" and not text.strip() and not files:
            raise RunFailed(status, "empty", usage=usage, model=model)
        return Update(
            status,
            text,
            steps=_steps(items),
            citations=citations,
            files=files,
            usage=usage,
            last_item_id=(getattr(items[-1], "id", None) or "") if items else "",
            model=model,
        )

    def _content(self, event: Any) -> list[Any]:
        item = self.items.get(event.output_index)
        if item is None or getattr(item, "content", None) is None:
            item = self.items[event.output_index] = _Message(event.item_id)
        content: list[Any] = item.content
        return content

    def _part(self, event: Any, kind: str) -> Any:
        content = self._content(event)
        if len(content) <= event.content_index:
            _put(content, event.content_index, _Part(kind))
        return content[event.content_index]


def read(items: Iterable[Item]) -> tuple[str, tuple[Citation, ...]]:
    """Text and sources of the messages among `items`.

    Where messages bear a phase only the final answer counts; refusals count as text.
    """
    messages = [item for item in items if is_message(item, "assistant")]
    if any(getattr(message, "phase", None) for message in messages):
        messages = [item for item in messages if getattr(item, "phase", None) == "final_answer"]
    text, citations = "", []
    for message in messages:
        if text:
            text += "\n\n"
        for part in parts_of(message):
            citations += [
                found for note in _notes(part) if (found := _citation(note, len(text))) is not None
            ]
            text += text_of(part)
    return text, tuple(citations)


def read_text(items: Iterable[Item]) -> str:
    return read(items)[0]


def made_files(items: Iterable[Item]) -> tuple[MadeFile, ...]:
    """What the model has drawn, and the files of its code that the answer names; each once."""
    found: dict[str, MadeFile] = {}
    for item in items:
        if getattr(item, "type", "") == "image_generation_call" and getattr(item, "result", None):
            ending = getattr(item, "output_format", None) or "png"
            found[item.id] = MadeFile(item.id, f"image.{ending}")
        for part in parts_of(item) if is_message(item, "assistant") else ():
            for note in _notes(part):
                if getattr(note, "type", "") == "container_file_citation":
                    name = note.filename or note.file_id
                    found[note.file_id] = MadeFile(note.file_id, name, note.container_id)
    return tuple(found.values())


def read_image(items: Iterable[Item], item_id: str) -> bytes:
    """The bytes of an image that the model has drawn. Raises RunFailed where it is not there."""
    for item in items:
        if getattr(item, "id", None) == item_id and getattr(item, "result", None):
            return base64.b64decode(item.result)
    raise RunFailed("failed", "file_not_found")


def is_message(item: Item, role: str) -> bool:
    return getattr(item, "type", "") == "message" and getattr(item, "role", "") == role


def parts_of(message: Item) -> list[Any]:
    """The parts of a message's content; some servers give a bare string."""
    content = getattr(message, "content", None) or []
    return [content] if isinstance(content, str) else list(content)


def text_of(part: Any) -> str:
    if isinstance(part, str):
        return part
    return getattr(part, "text", None) or getattr(part, "refusal", None) or ""


@dataclass
class _Part:
    """A part of which the stream began with a delta."""

    type: str
    text: str = ""
    refusal: str = ""
    annotations: list[Any] = field(default_factory=list)


@dataclass
class _Message:
    """A message of which the stream began with a part."""

    id: str
    content: list[Any] = field(default_factory=list)
    type: str = "message"
    role: str = "assistant"
    status: str = "in_progress"


def _put(parts: list[Any], index: int, part: Any) -> None:
    while len(parts) <= index:
        parts.append(_Part("output_text"))
    parts[index] = part


def _notes(part: Any) -> list[Any]:
    return getattr(part, "annotations", None) or []


def _citation(note: Any, offset: int) -> Citation | None:
    kind = getattr(note, "type", "")
    if kind == "url_citation":
        return Citation(
            offset + note.start_index, offset + note.end_index, note.title or note.url, url=note.url
        )
    if kind == "container_file_citation":
        start, end = offset + note.start_index, offset + note.end_index
    elif kind == "file_citation":
        start = end = offset + note.index
    else:
        return None
    return Citation(start, end, note.filename or "", file_id=note.file_id, filename=note.filename)


def _steps(items: Iterable[Item]) -> tuple[Step, ...]:
    steps = []
    for item in items:
        title = _title(item)
        if title:
            status = _STEP_STATUS.get(getattr(item, "status", None) or "", "in_progress")
            steps.append(Step(getattr(item, "id", None) or title, title, status))
    return tuple(steps)


def _title(item: Item) -> str:
    kind = getattr(item, "type", "")
    if kind in ("function_call", "custom_tool_call", "mcp_call"):
        return f"Calling {item.name}"
    if kind == "web_search_call":
        query = getattr(getattr(item, "action", None), "query", None)
        return f"{_TITLES[kind]}: {query}" if query else _TITLES[kind]
    return _TITLES.get(kind, "")


def _usage(response: Response) -> Usage | None:
    usage = response.usage
    if usage is None:
        return None
    return Usage(
        input_tokens=usage.input_tokens or 0,
        cached_tokens=getattr(usage.input_tokens_details, "cached_tokens", None) or 0,
        output_tokens=usage.output_tokens or 0,
        reasoning_tokens=getattr(usage.output_tokens_details, "reasoning_tokens", None) or 0,
    )
