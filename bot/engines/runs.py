"""The results of a run of the Assistants protocol: text, sources, cards, its end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.calls import FunctionCall
from bot.engines.answer import ANSWER_CHARS, ITEM_BYTES, MOST_ITEMS, MOST_PARTS
from bot.engines.errors import DETAIL_CHARS, too_large
from bot.engines.items import Item, fields, listed, parts_of, run_status, text, whole
from bot.engines.size import VALUE_BYTES, size_of
from bot.errors import RunFailed
from bot.models import Card, Citation, MadeFile, RunStatus, Update, Usage

WORKING = frozenset({"queued", "in_progress", "cancelling"})
PAUSED: RunStatus = "requires_action"

_TITLES: Mapping[str, str] = {
    "code_interpreter": "Running code",
    "file_search": "Searching files",
}
_STEP_STATUS: Mapping[str, Any] = {
    "completed": "complete",
    "cancelled": "error",
    "failed": "error",
    "expired": "error",
}


@dataclass(slots=True)
class PartialRun:
    """The state of a run in progress; `run` is its newest state, `messages` its messages' parts."""

    run: Item | None = None
    messages: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    cards: dict[str, Card] = field(default_factory=dict)
    events: int = 0
    _chars: int = 0
    _bytes: int = 0

    def take(self, event: Item) -> None:
        """Apply one event of the stream; unknown ones have no effect.

        Raises RunFailed if the answer exceeds the bounds.
        """
        kind, data = text(event.get("event")), fields(event.get("data"))
        self.events += 1
        if kind.startswith("thread.run.step."):
            self._take_step(data)
        elif kind.startswith("thread.run."):
            self.take_state(data)
        elif kind == "thread.message.delta":
            self._take_delta(data)
        if (
            self._chars > ANSWER_CHARS
            or self._bytes > ITEM_BYTES
            or len(self.messages) + len(self.cards) > MOST_ITEMS
        ):
            raise too_large(self.text)

    def take_state(self, run: Item) -> None:
        """Apply the run from an event or a poll."""
        if run.get("id"):
            self.run = run

    def _take_delta(self, message: Item) -> None:
        message_id = text(message.get("id"))
        if message_id not in self.messages:
            self._bytes += size_of(message_id)
        parts = self.messages.setdefault(message_id, {})
        for part in listed(fields(message.get("delta")).get("content")):
            written = text_of(part)
            parts.setdefault(whole(fields(part).get("index")), []).append(written)
            self._chars += len(written)
            self._bytes += VALUE_BYTES
        if len(parts) > MOST_PARTS:
            raise too_large(self.text)

    def _take_step(self, step: Item) -> None:
        status = _STEP_STATUS.get(text(step.get("status")), "in_progress")
        for call in map(fields, listed(fields(step.get("step_details")).get("tool_calls"))):
            kind, call_id = text(call.get("type")), text(call.get("id"))
            name = text(fields(call.get("function")).get("name"))
            title = f"Calling {name}" if name else _TITLES.get(kind, kind)
            shown = Card(call_id, title, status)
            if call_id and self.cards.get(call_id) != shown:
                self.cards[call_id] = shown
                self._bytes += size_of([call_id, title])

    def compact(self) -> None:
        """Nothing is kept for further events only."""

    @property
    def text(self) -> str:
        """The text so far, message by message."""
        texts = ("".join("".join(c) for c in parts.values()) for parts in self.messages.values())
        return "\n\n".join(text for text in texts if text)

    @property
    def status(self) -> RunStatus:
        shown: Any = run_status(fields(self.run).get("status"))
        status: RunStatus = shown or ("queued" if self.run is None else "completed")
        return status

    @property
    def ended(self) -> bool:
        """Whether the server has finished with the run."""
        return self.run is not None and self.status not in WORKING

    def update(self) -> Update:
        """The answer so far."""
        return Update(self.status, self.text, cards=tuple(self.cards.values()))


def waiting_calls(run: Item) -> tuple[FunctionCall, ...]:
    """The calls that a run waits for; none if it does not wait."""
    if run_status(run.get("status")) != PAUSED:
        return ()
    action = fields(fields(run.get("required_action")).get("submit_tool_outputs"))
    found: dict[str, FunctionCall] = {}
    for call in map(fields, listed(action.get("tool_calls"))):
        call_id, function = text(call.get("id")), fields(call.get("function"))
        name, arguments = text(function.get("name")), text(function.get("arguments"))
        found.setdefault(call_id, FunctionCall(call_id, name, arguments))
    return tuple(found.values())


def text_of(part: Any) -> str:
    """The text of one part of a message or of a delta of one."""
    if isinstance(part, str):
        return part
    found = fields(part).get("text")
    if isinstance(found, str):
        return found
    return text(fields(found).get("value")) or text(fields(part).get("refusal"))


def text_of_message(message: Item) -> str:
    """The text of a message: it comes first, its text files follow."""
    parts = listed(message.get("content"))
    return text_of(parts[0]) if parts else text(message.get("content"))


def read(messages: Iterable[Item]) -> tuple[str, tuple[Citation, ...]]:
    """Text and sources of the messages, in order."""
    texts: list[str] = []
    citations: list[Citation] = []
    length = 0
    for message in messages:
        if length:
            texts.append("\n\n")
            length += 2
        for part in parts_of(message):
            citations += [_citation(note, length) for note in _notes(part)]
            texts.append(text_of(part))
            length += len(texts[-1])
    return "".join(texts), tuple(citations)


def made_files(messages: Iterable[Item]) -> tuple[MadeFile, ...]:
    """Images, and the files to which the text links; each once."""
    found: dict[str, MadeFile] = {}
    for message in messages:
        for part in parts_of(message):
            image = text(fields(fields(part).get("image_file")).get("file_id"))
            if image:
                found[image] = MadeFile(image, "image.png")
            for note in _notes(part):
                file_id = text(fields(note.get("file_path")).get("file_id"))
                if file_id:
                    name = text(note.get("text")).rpartition("/")[2] or file_id
                    found[file_id] = MadeFile(file_id, name)
    return tuple(found.values())


def finish(run: Item, messages: list[Item], partial: PartialRun, *, acted: bool = False) -> Update:
    """The last update of an ended run. Raises RunFailed if it has no complete answer."""
    written, citations = read(messages)
    written = written or partial.text
    usage, model, status = _usage(run), text(run.get("model")), partial.status
    if status == "incomplete":
        reason = text(fields(run.get("incomplete_details")).get("reason")) or "incomplete"
        raise RunFailed("incomplete", reason, text=written, usage=usage, model=model)
    if status not in ("completed", "cancelled"):
        error = fields(run.get("last_error"))
        code = text(error.get("code")) or status
        detail = text(error.get("message"))[:DETAIL_CHARS]
        raise RunFailed(
            status,
            code,
            text=written,
            detail=detail,
            usage=usage,
            model=model,
            acted=acted or bool(partial.cards),
        )
    files = made_files(messages)
    if status == "completed" and not written.strip() and not files:
        raise RunFailed("completed", "empty", usage=usage, model=model)
    return Update(
        status,
        written,
        cards=tuple(partial.cards.values()),
        citations=citations,
        files=files,
        usage=usage,
        last_item_id=text(messages[-1].get("id")) if messages else "",
        model=model,
    )


def _notes(part: Any) -> list[Item]:
    notes = listed(fields(fields(part).get("text")).get("annotations"))
    return [note for note in notes if isinstance(note, Mapping)]


def _citation(note: Item, offset: int) -> Citation:
    cited = fields(note.get("file_citation")) or fields(note.get("file_path"))
    file_id = text(cited.get("file_id"))
    start, end = whole(note.get("start_index")), whole(note.get("end_index"))
    return Citation(
        offset + start, offset + end, file_id, file_id=file_id or None, text=text(note.get("text"))
    )


def _usage(run: Item) -> Usage | None:
    usage = run.get("usage")
    if not isinstance(usage, Mapping):
        return None
    read_in, written = whole(usage.get("prompt_tokens")), whole(usage.get("completion_tokens"))
    return Usage(input_tokens=read_in, output_tokens=written) if read_in or written else None
