"""What a run of the Assistants protocol has brought forth: text, sources, steps, its end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from openai.types.beta import AssistantStreamEvent
from openai.types.beta.threads import Run

from bot.engines.errors import DETAIL_CHARS
from bot.errors import RunFailed
from bot.models import Citation, MadeFile, RunStatus, Step, Update, Usage

WORKING = frozenset({"queued", "in_progress", "cancelling"})

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


@dataclass
class RunDraft:
    """What is known of a run while it works; `run` is its newest state, `messages` their parts."""

    run: Run | None = None
    messages: dict[str, dict[int, str]] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)

    def take(self, event: AssistantStreamEvent) -> None:
        """Take in one event of the stream; unknown ones change nothing."""
        kind, data = str(event.event), cast(Any, event.data)
        if kind.startswith("thread.run.step."):
            self._take_step(data)
        elif kind.startswith("thread.run."):
            self.run = data
        elif kind == "thread.message.delta":
            parts = self.messages.setdefault(data.id, {})
            for part in data.delta.content or ():
                parts[part.index] = parts.get(part.index, "") + text_of(part)

    def _take_step(self, step: Any) -> None:
        status = _STEP_STATUS.get(getattr(step, "status", None) or "", "in_progress")
        details = getattr(step, "step_details", None)
        for call in getattr(details, "tool_calls", None) or ():
            function = getattr(call, "function", None)
            title = f"Calling {function.name}" if function else _TITLES.get(call.type, call.type)
            if call.id:
                self.steps[call.id] = Step(call.id, title, status)

    @property
    def text(self) -> str:
        texts = ("".join(parts.values()) for parts in self.messages.values())
        return "\n\n".join(text for text in texts if text)

    @property
    def status(self) -> RunStatus:
        return self.run.status if self.run is not None else "queued"

    def update(self) -> Update:
        return Update(self.status, self.text, steps=tuple(self.steps.values()))


def text_of(part: Any) -> str:
    """The text of one part of a message or of a delta of one."""
    if isinstance(part, str):
        return part
    text = getattr(part, "text", None)
    if isinstance(text, str):
        return text
    return getattr(text, "value", None) or getattr(part, "refusal", None) or ""


def text_of_message(message: Any) -> str:
    return "".join(text_of(part) for part in getattr(message, "content", None) or ())


def read(messages: Iterable[Any]) -> tuple[str, tuple[Citation, ...]]:
    """Text and sources of the messages, in order."""
    text, citations = "", []
    for message in messages:
        if text:
            text += "\n\n"
        for part in getattr(message, "content", None) or ():
            notes = getattr(getattr(part, "text", None), "annotations", None) or ()
            citations += [_citation(note, len(text)) for note in notes]
            text += text_of(part)
    return text, tuple(citations)


def made_files(messages: Iterable[Any]) -> tuple[MadeFile, ...]:
    """Images, and the files to which the text links; each once."""
    found: dict[str, MadeFile] = {}
    for message in messages:
        for part in getattr(message, "content", None) or ():
            image = getattr(part, "image_file", None)
            if image is not None:
                found[image.file_id] = MadeFile(image.file_id, "image.png")
            for note in getattr(getattr(part, "text", None), "annotations", None) or ():
                path = getattr(note, "file_path", None)
                if path is not None:
                    name = note.text.rpartition("/")[2] or path.file_id
                    found[path.file_id] = MadeFile(path.file_id, name)
    return tuple(found.values())


def finish(run: Run, messages: list[Any], draft: RunDraft) -> Update:
    """The last update of a run that has ended. Raises RunFailed where it has no whole answer."""
    text, citations = read(messages)
    text = text or draft.text
    usage, model = _usage(run), getattr(run, "model", None) or ""
    if run.status == "incomplete":
        details = run.incomplete_details
        reason = (details and details.reason) or "incomplete"
        raise RunFailed("incomplete", reason, text=text, usage=usage, model=model)
    if run.status not in ("completed", "cancelled"):
        error = run.last_error
        code = (error and error.code) or run.status
        detail = ((error and error.message) or "")[:DETAIL_CHARS]
        raise RunFailed(run.status, code, text=text, detail=detail, usage=usage, model=model)
    files = made_files(messages)
    if run.status == "completed" and not text.strip() and not files:
        raise RunFailed("completed", "empty", usage=usage, model=model)
    return Update(
        run.status,
        text,
        steps=tuple(draft.steps.values()),
        citations=citations,
        files=files,
        usage=usage,
        last_item_id=messages[-1].id if messages else "",
        model=model,
    )


def _citation(note: Any, offset: int) -> Citation:
    cited = getattr(note, "file_citation", None) or getattr(note, "file_path", None)
    file_id = getattr(cited, "file_id", None)
    return Citation(
        offset + note.start_index,
        offset + note.end_index,
        file_id or "",
        file_id=file_id,
        text=note.text,
    )


def _usage(run: Run) -> Usage | None:
    usage: Any = run.usage
    if usage is None:
        return None
    return Usage(input_tokens=usage.prompt_tokens or 0, output_tokens=usage.completion_tokens or 0)
