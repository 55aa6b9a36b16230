"""The answer of a response, in progress and complete."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.calls import FunctionCall
from bot.engines.errors import DETAIL_CHARS, too_large
from bot.engines.functions import calls_of
from bot.engines.hosted import hosted_calls
from bot.engines.items import (
    Item,
    cards,
    fields,
    is_message,
    length_of,
    listed,
    made_files,
    notes_of,
    parts_of,
    read,
    read_text,
    read_usage,
    run_status,
    text,
    text_of,
    whole,
)
from bot.engines.size import size_of
from bot.errors import RunFailed
from bot.models import RunStatus, Update

WORKING = frozenset({"queued", "in_progress", "cancelling"})

ANSWER_CHARS = 2_000_000
"""Maximum text of one run, three times the longest answer of current models."""
ITEM_BYTES = 40_000_000
"""All items of one run in memory, images included: whatever is kept of them but the deltas."""
MOST_ITEMS = 10_000
MOST_PARTS = 1_000
MOST_NOTES = 10_000


@dataclass(slots=True)
class ContentPart:
    """A content part that grows by deltas. A refusal is text like any other."""

    chunks: list[str] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text so far; the chunks are joined once."""
        self.chunks[:] = ["".join(self.chunks)]
        return self.chunks[0]


@dataclass(slots=True)
class PartialItem:
    """An item, and the parts that the stream has added since the item was last sent completely."""

    item: Item
    parts: dict[int, ContentPart] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether it is a message of which nothing has come yet."""
        return is_message(self.item) and not length_of([self.whole()])

    def whole(self) -> Item:
        """The item with the parts added since."""
        if not self.parts:
            return self.item
        content = [
            {"text": part.text, "annotations": part.notes} for _, part in sorted(self.parts.items())
        ]
        return {**self.item, "content": content}


@dataclass(slots=True)
class PartialResponse:
    """The state of an answer in progress.

    An item is identified by its `output_index`, or by its id if a server omits the index. `seen` is
    the number of the last event; `ended` the final response, once known. Events are numbered where
    a stream can be resumed.
    """

    is_numbered: bool = True
    id: str = ""
    status: RunStatus = "queued"
    seen: int = -1
    events: int = 0
    ended: Item | None = None
    is_complete: bool = False
    """Whether the last item was sent completely: no part of it is missing so far."""
    _items: dict[int, PartialItem] = field(default_factory=dict)
    _indexes: dict[str, int] = field(default_factory=dict)
    _places: dict[tuple[int, bool], int] = field(default_factory=dict)
    """Where else the items of an index are, by whether they are messages."""
    _chars: int = 0
    _bytes: int = 0

    def take(self, event: Item) -> None:
        """Apply one event of the stream; unknown and repeated ones have no effect.

        Raises RunFailed if the answer exceeds the bounds.
        """
        if self.ended is not None:
            return
        number = event.get("sequence_number")
        if isinstance(number, int) and self.is_numbered:
            if number <= self.seen:
                return
            self.seen = number
        self.events += 1
        response, kind = event.get("response"), text(event.get("type"))
        if isinstance(response, Mapping):
            self.take_state(
                {**response, "status": _status(kind, run_status(response.get("status")))}
            )
        elif (reader := _READERS.get(kind)) is not None:
            reader(self, event)
        elif kind in _ENDS:
            self.take_state({"status": _ENDS[kind]})
        elif not kind and "output" in event:
            self.take_state(event)  # the response itself, in place of its events

    def take_state(self, response: Item) -> None:
        """Apply the response from an event or a poll."""
        status: Any = run_status(response.get("status")) or "completed"
        self.id, self.status = text(response.get("id")) or self.id, status
        items = [item for item in listed(response.get("output")) if isinstance(item, Mapping)]
        written = text(response.get("output_text")) or text(response.get("output"))
        if not items and written:
            items = [{"type": "message", "role": "assistant", "content": written}]
        if len(items) > MOST_ITEMS or length_of(items) > ANSWER_CHARS:
            raise self._too_large(items)
        shown = len(read_text(items))
        if items and not shown and self.text:  # they come without the streamed text
            items = [*self._messages(), *(item for item in items if not is_message(item))]
        # Some servers return less of an unfinished response than they have streamed.
        if (status == "completed" and items) or (shown and shown > len(self.text)):
            self._items = {index: PartialItem(item) for index, item in enumerate(items)}
            self._indexes = {text(item.get("id")): n for n, item in enumerate(items)}
            self._places.clear()
            self._chars = len(self.text)
            self._check()
        if status not in WORKING:
            self.ended = response

    def compact(self) -> None:
        """Free what only further events would need: the run is polled from now on, perhaps for
        long. A response that has ended is left as the server sent it."""
        if self.ended is not None:
            return
        self._indexes = {}
        self._items = {n: item for n, item in self._items.items() if not item.is_empty}

    @property
    def items(self) -> list[Item]:
        """The items in order, with their text so far."""
        return [growing.whole() for _, growing in sorted(self._items.items())]

    @property
    def text(self) -> str:
        """The text so far."""
        return read_text(self.items)

    @property
    def calls(self) -> tuple[FunctionCall, ...]:
        """The calls of functions so far, in order."""
        return calls_of(self.items)

    def update(self) -> Update:
        """The answer so far."""
        items = self.items
        written, citations = read(items)
        return Update(self.status, written, cards=cards(items), citations=citations)

    def finish(self, *, takes_calls: bool = False) -> Update:
        """The last update of the run. Raises RunFailed if it ended without a complete answer, or
        with calls alone that the caller does not take.
        """
        if self.ended is None:
            raise ValueError("the run has not ended")
        usage, model = read_usage(self.ended), text(self.ended.get("model"))
        items, status = self.items, self.status
        written, citations = read(items)
        if status not in ("completed", "cancelled"):
            reason, detail = _failure(self.ended, status)
            ended: RunStatus = "incomplete" if status == "incomplete" else "failed"
            raise RunFailed(
                ended,
                reason,
                text=written,
                detail=detail,
                usage=usage,
                model=model,
                acted=bool(cards(items) or cards(map(fields, listed(self.ended.get("output"))))),
                hosted=hosted_calls(items),
            )
        files = made_files(items)
        calls = calls_of(items) if takes_calls and status == "completed" else ()
        if status == "completed" and not (written.strip() or files or calls):
            written, citations = read({**item, "phase": None} for item in items)
            if not written.strip():
                raise RunFailed(status, "empty", usage=usage, model=model)
        return Update(
            status,
            written,
            cards=cards(items),
            citations=citations,
            files=files,
            usage=usage,
            last_item_id=text(items[-1].get("id")) if items else "",
            model=model,
            calls=calls,
            hosted=hosted_calls(items),
        )

    def _messages(self) -> list[Item]:
        return [item for item in self.items if is_message(item)]

    def _place(self, index: int, *, message: bool) -> int:
        """The index, or the next free one if an item of another kind has it: some servers give all
        items the same index."""
        found = self._places.get((index, message), index)
        while found in self._items and is_message(self._items[found].item) != message:
            found += 1
        if found != index:
            self._places[index, message] = found
        return found

    def _index(self, item_id: str, index: object) -> int:
        if isinstance(index, int) and not isinstance(index, bool):
            found = index
        elif item_id:
            found = self._indexes.get(item_id, len(self._items))
        else:
            found = max(self._items, default=0)
        if item_id and item_id not in self._indexes:
            self._bytes += size_of(item_id)
        if item_id:
            self._indexes[item_id] = found
        return found

    def _take_item(self, event: Item) -> None:
        item = event.get("item")
        if not isinstance(item, Mapping):
            return
        index = self._index(text(item.get("id")), event.get("output_index"))
        index = self._place(index, message=is_message(item))
        is_done = event.get("type") == "response.output_item.done"
        self.is_complete = is_done and item.get("type") in ("message", "function_call")
        self._bytes += size_of(item)
        known, shown = self._items.get(index), len(read_text([item]))
        streamed = len(read_text([known.whole()])) if known is not None else 0
        if known is not None and shown < streamed:
            known.item = item  # it comes without the streamed text
        else:
            self._items[index] = PartialItem(item)
            self._chars += shown - streamed
        self._check()

    def _part(self, event: Item) -> ContentPart:
        item_id = text(event.get("item_id"))
        index = self._place(self._index(item_id, event.get("output_index")), message=True)
        if index not in self._items:
            self._items[index] = PartialItem(
                {"type": "message", "role": "assistant", "id": item_id}
            )
        growing = self._items[index]
        if not growing.parts:
            shown = enumerate(parts_of(growing.item))
            growing.parts = {n: ContentPart([text_of(part)], notes_of(part)) for n, part in shown}
        part = growing.parts.setdefault(whole(event.get("content_index")), ContentPart())
        self._check(parts=len(growing.parts))
        return part

    def _write(self, event: Item) -> None:
        delta = text_of(event.get("delta"))
        self._part(event).chunks.append(delta)
        self.is_complete = False
        self._chars += len(delta)
        self._check()

    def _take_part(self, event: Item) -> None:
        """A complete part replaces the streamed one, unless it lacks the streamed text."""
        part, shown = self._part(event), event.get("part")
        written = text_of(shown)
        self.is_complete = event.get("type") != "response.content_part.added"
        streamed = len(part.text)
        if len(written) >= streamed:
            self._chars += len(written) - streamed
            self._bytes += size_of(shown)
            part.chunks[:] = [written]
            part.notes = notes_of(shown) or part.notes
            self._check()

    def _take_text(self, event: Item) -> None:
        self._take_part({**event, "part": {"text": text_of(event)}})

    def _annotate(self, event: Item) -> None:
        notes = self._part(event).notes
        if len(notes) < MOST_NOTES:
            self._bytes += size_of(event.get("annotation"))
            notes.append(event.get("annotation"))
            self._check()

    def _check(self, parts: int = 0) -> None:
        if (
            self._chars > ANSWER_CHARS
            or self._bytes > ITEM_BYTES
            or len(self._items) > MOST_ITEMS
            or parts > MOST_PARTS
        ):
            raise self._too_large()

    def _too_large(self, items: Iterable[Item] = ()) -> RunFailed:
        """The error that ends the answer; its memory is free for the response to the
        cancellation."""
        error = too_large(self.text or read_text(items))
        self._items.clear()
        return error


_ENDS: Mapping[str, str] = {
    f"response.{status}": status for status in ("completed", "failed", "incomplete", "cancelled")
}
_BEGINS = frozenset({"response.created", "response.queued", "response.in_progress"})
_READERS: Mapping[str, Callable[[PartialResponse, Item], None]] = {
    "response.output_item.added": PartialResponse._take_item,
    "response.output_item.done": PartialResponse._take_item,
    "response.content_part.added": PartialResponse._take_part,
    "response.content_part.done": PartialResponse._take_part,
    "response.output_text.delta": PartialResponse._write,
    "response.output_text.done": PartialResponse._take_text,
    "response.refusal.delta": PartialResponse._write,
    "response.refusal.done": PartialResponse._take_text,
    "response.output_text.annotation.added": PartialResponse._annotate,
}


def _status(kind: str, stated: str) -> str:
    """The status of the response in an event; servers leave it out, or do not update it."""
    if kind in _BEGINS:
        return stated if stated in WORKING else "in_progress"
    if kind in _ENDS:
        return stated if stated in _ENDS.values() else _ENDS[kind]
    return stated or "completed"


def _failure(response: Item, status: str) -> tuple[str, str]:
    """The reason why a run has no complete answer, and the server's message for the log."""
    if status == "incomplete":
        return text(fields(response.get("incomplete_details")).get("reason")) or "incomplete", ""
    error = fields(response.get("error"))
    return text(error.get("code")) or "server_error", text(error.get("message"))[:DETAIL_CHARS]


def update_of(items: Iterable[Item], otherwise: RunFailed, *, takes_calls: bool = False) -> Update:
    """The last update of a run whose items are all that is known. Raises `otherwise` if they
    contain no text and no calls."""
    items = list(items)
    written, citations = read(items)
    calls = calls_of(items) if takes_calls else ()
    if not written and not calls:
        raise otherwise
    if any(item.get("status") == "incomplete" for item in items):
        raise RunFailed("incomplete", "incomplete", text=written)
    last = text(items[-1].get("id"))
    files = made_files(items)
    return Update(
        "completed",
        written,
        citations=citations,
        files=files,
        last_item_id=last,
        calls=calls,
        hosted=hosted_calls(items),
    )
