"""Reading the items of a response: text, sources, cards and files.

Items are plain JSON. Servers omit fields, and send text in place of a list.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from bot.errors import RunFailed
from bot.models import Card, Citation, MadeFile, Usage

Item = Mapping[str, Any]

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


FINAL, COMMENT = "final_answer", "commentary"
"""Phases of messages."""
_STATUSES: Mapping[str, str] = {
    **dict.fromkeys(("complete", "done", "finished", "stop", "succeeded", "success"), "completed"),
    **dict.fromkeys(("canceled", "aborted", "stopped"), "cancelled"),
    **dict.fromkeys(("created", "pending", "preparing", "processing", "running"), "in_progress"),
    **dict.fromkeys(("error", "errored"), "failed"),
}
"""Other words of servers for the statuses of the protocol."""


def run_status(status: object) -> str:
    """The status of a response or run in the words of the protocol; "" if there is none."""
    word = text(status).lower()
    return _STATUSES.get(word, word)


def read(items: Iterable[Item]) -> tuple[str, tuple[Citation, ...]]:
    """Text and sources of the messages among `items`.

    If messages have a phase, comments between the steps do not count, nor anything besides a final
    answer; refusals count as text.
    """
    messages = [item for item in items if is_message(item)]
    phases = {text(message.get("phase")) for message in messages}
    if FINAL in phases:
        messages = [item for item in messages if item.get("phase") == FINAL]
    elif COMMENT in phases:
        messages = [item for item in messages if item.get("phase") != COMMENT]
    texts: list[str] = []
    citations: list[Citation] = []
    length = 0
    for message in messages:
        if length:
            texts.append("\n\n")
            length += 2
        for part in parts_of(message):
            notes = (_citation(note, length) for note in notes_of(part))
            citations += [note for note in notes if note is not None]
            texts.append(text_of(part))
            length += len(texts[-1])
    return "".join(texts), tuple(citations)


def read_text(items: Iterable[Item]) -> str:
    """The text of the messages among `items`."""
    return read(items)[0]


def length_of(items: Iterable[Item]) -> int:
    """The characters of all messages among `items`, in any phase."""
    messages = filter(is_message, items)
    return sum(len(text_of(part)) for message in messages for part in parts_of(message))


def made_files(items: Iterable[Item]) -> tuple[MadeFile, ...]:
    """Generated images, and files of the model's code that the answer names; each once."""
    found: dict[str, MadeFile] = {}
    for item in items:
        if item.get("type") == "image_generation_call" and item.get("result"):
            ending = text(item.get("output_format")) or "png"
            item_id = text(item.get("id"))
            found[item_id] = MadeFile(item_id, f"image.{ending}")
        for part in parts_of(item) if is_message(item) else ():
            for note in notes_of(part):
                if note.get("type") == "container_file_citation":
                    file_id = text(note.get("file_id"))
                    name = text(note.get("filename")) or file_id
                    found[file_id] = MadeFile(file_id, name, text(note.get("container_id")))
    return tuple(found.values())


def read_image(items: Iterable[Item], item_id: str) -> bytes:
    """The bytes of a generated image. Raises RunFailed if it is missing."""
    for item in items:
        if item.get("id") == item_id and isinstance(item.get("result"), str):
            try:
                return base64.b64decode(item["result"])
            except binascii.Error:
                break
    raise RunFailed("failed", "file_not_found")


def is_message(item: Item, role: str = "assistant") -> bool:
    """Whether an item is a message of this role. One without a type or a role is the model's."""
    kind = item.get("type") or ("message" if "content" in item else "")
    return kind == "message" and (item.get("role") or "assistant") == role


def parts_of(message: Item) -> list[Any]:
    """The parts of a message's content; some servers send a bare string."""
    content = message.get("content") or []
    return [content] if isinstance(content, str) else listed(content)


def notes_of(part: Any) -> list[Item]:
    """The annotations of a content part."""
    notes = listed(fields(part).get("annotations"))
    return [note for note in notes if isinstance(note, Mapping)]


def text_of(part: Any) -> str:
    """The text or refusal of a content part, or a bare string; "" for other kinds."""
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return ""
    return text(part.get("text")) or text(part.get("refusal"))


def text(value: object) -> str:
    """The value, if it is a string; else empty."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int:
    """The value, if it is a number that counts something; else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return 0
    return int(value)


def fields(value: object) -> Item:
    """The value, if it is a JSON object; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[Any]:
    """The value, if it is a list; else an empty one."""
    return value if isinstance(value, list) else []


def cards(items: Iterable[Item]) -> tuple[Card, ...]:
    """The tool calls among the items."""
    found = []
    for item in items:
        title = _title(item)
        if title:
            status = _STEP_STATUS.get(text(item.get("status")), "in_progress")
            found.append(Card(_step_id(item) or title, title, status))
    return tuple(found)


def _step_id(item: Item) -> str:
    """A call, and the approval that it needed, are one step."""
    key = {"function_call": "call_id", "mcp_call": "approval_request_id"}.get(text(item["type"]))
    return text(item.get(key)) if key and item.get(key) else text(item.get("id"))


def read_usage(response: Item) -> Usage | None:
    """The usage of a response; None if the server reports none."""
    usage = response.get("usage")
    if not isinstance(usage, Mapping):
        return None
    read_in, written = whole(usage.get("input_tokens")), whole(usage.get("output_tokens"))
    if not read_in and not written:
        return None
    return Usage(
        input_tokens=read_in,
        cached_tokens=whole(fields(usage.get("input_tokens_details")).get("cached_tokens")),
        output_tokens=written,
        reasoning_tokens=whole(fields(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )


def _citation(note: Item, offset: int) -> Citation | None:
    kind, file_id = note.get("type"), text(note.get("file_id"))
    start, end = whole(note.get("start_index")), whole(note.get("end_index"))
    if kind == "url_citation":
        url = text(note.get("url"))
        title = text(note.get("title")) or url
        return Citation(offset + start, offset + end, title, url=url)
    if kind == "file_citation":
        start = end = whole(note.get("index"))
    elif kind != "container_file_citation":
        return None
    name = text(note.get("filename"))
    return Citation(offset + start, offset + end, name, file_id=file_id, filename=name or None)


def _title(item: Item) -> str:
    kind = text(item.get("type"))
    if kind in ("mcp_call", "mcp_approval_request") and (server := text(item.get("server_label"))):
        return f"{server}: {text(item.get('name')) or 'a tool'}"
    if kind in ("function_call", "custom_tool_call", "mcp_call", "mcp_approval_request"):
        return f"Calling {text(item.get('name')) or 'a tool'}"
    if kind == "web_search_call":
        query = text(fields(item.get("action")).get("query"))
        return f"{_TITLES[kind]}: {query}" if query else _TITLES[kind]
    return _TITLES.get(kind, "")
