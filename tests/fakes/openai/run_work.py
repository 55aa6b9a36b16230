"""An Assistants run in progress: its object, steps, messages and events."""

import asyncio

from .answers import Answer, Call, Json, Said
from .state import State, Thread
from .work import Beat, Event, Work, pieces

TERMINAL = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
_TIMES = {
    "completed": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
    "incomplete": "completed_at",
}
_MESSAGE_REASONS = {
    "max_completion_tokens": "max_tokens",
    "max_prompt_tokens": "max_tokens",
}


class RunWork(Work):
    """A run of a thread; it is over, or pauses in `requires_action` until outputs come."""

    terminal = TERMINAL

    def __init__(
        self,
        state: State,
        answer: Answer,
        body: Json,
        thread: Thread,
        *,
        streams: bool,
        prompt_tokens: int,
    ) -> None:
        super().__init__(answer, body, streams=streams)
        self.thread = thread
        self.steps: list[Json] = []
        self._state = state
        self._prompt_tokens = prompt_tokens
        self._made: tuple[Answer, list[tuple[Json, Said, Json]]] | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def is_silent(self) -> bool:
        return super().is_silent or self.status == "requires_action"

    def open(self) -> None:
        """The first events; from now on the run can expire."""
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(self._state.options.run_lifetime, self.expire)
        self._tell("thread.run.created")
        self._tell("thread.run.queued")

    def go_on(self, answer: Answer, *, streams: bool) -> None:
        """The outputs of the calls are there: the run is queued again."""
        now = self._state.now()
        self.steps[-1].update(status="completed", completed_at=now)
        self.answer, self.streams = answer, streams
        self.events.clear()
        self.said = ""
        self._made = None
        self._beats_are_ready = False
        self.body.update(status="queued", required_action=None)
        self._tell("thread.run.queued")
        self.start()

    def cancel(self) -> None:
        """`cancelling` first; `cancelled` after the time that the options give."""
        if self.is_over or self.status == "cancelling":
            return
        self._stop()
        self.body["status"] = "cancelling"
        self._tell("thread.run.cancelling")
        loop = asyncio.get_running_loop()
        loop.call_later(self._state.options.cancelling, super().cancel)

    async def aclose(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        await super().aclose()

    def _begin(self) -> None:
        if self.status == "queued":
            self.body.update(status="in_progress", started_at=self._state.now())
            self._tell("thread.run.in_progress")

    def _plan(self, answer: Answer) -> list[Beat]:
        beats: list[Beat] = []
        for message, said, step in self._messages(answer):
            begun = {**message, "content": [], "status": "in_progress", "completed_at": None}
            started = {**step, "status": "in_progress", "completed_at": None}
            beats.append(
                Beat(
                    (
                        Event("thread.run.step.created", started),
                        Event("thread.run.step.in_progress", started),
                        Event("thread.message.created", begun),
                        Event("thread.message.in_progress", begun),
                    )
                )
            )
            beats.extend(_deltas(message["id"], said, answer))
            ending = "completed" if message["status"] == "completed" else "incomplete"
            beats.append(Beat((Event(f"thread.message.{ending}", message),)))
            if ending == "completed":
                beats.append(Beat((Event("thread.run.step.completed", step),)))
        return beats

    def _end(self, answer: Answer) -> None:
        if answer.calls and answer.status in ("completed", "requires_action"):
            self._require_action(answer.calls)
            return
        status = answer.status
        if self._expiry is not None:
            self._expiry.cancel()
        self._keep_messages(answer)
        self.body.update(status=status, required_action=None, expires_at=None)
        if status in _TIMES:
            self.body[_TIMES[status]] = self._state.now()
        if status == "failed":
            self.body["last_error"] = {
                "code": answer.error_code,
                "message": answer.error_message,
            }
        if status == "incomplete":
            self.body["incomplete_details"] = {"reason": answer.reason}
        if self._state.options.usage and not self._state.options.bare:
            self.body["usage"] = self._usage(answer)
        self._tell(f"thread.run.{status}")

    def write(self, text: str) -> None:
        """Put the complete answer into the thread, whatever the run's status says."""
        self._keep_messages(Answer(text))

    def _keep_messages(self, answer: Answer) -> None:
        for message, _, step in self._messages(answer):
            self.thread.messages.append(message)
            self.steps.append(step)

    def _require_action(self, calls: tuple[Call, ...]) -> None:
        wanted: list[Json] = [
            {
                "id": call.call_id or self._state.new_id("call"),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in calls
        ]
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": wanted}}
        self.body.update(status="requires_action", required_action=action)
        shown = [{**call, "function": {**call["function"], "output": None}} for call in wanted]
        step = self._new_step("tool_calls", {"type": "tool_calls", "tool_calls": shown})
        step.update(status="in_progress", completed_at=None)
        self.steps.append(step)
        self._tell("thread.run.requires_action")

    def _messages(self, answer: Answer) -> list[tuple[Json, Said, Json]]:
        if self._made is None or self._made[0] is not answer:
            self._made = (answer, [self._make(said, answer) for said in self._spoken(answer)])
        return self._made[1]

    def _spoken(self, answer: Answer) -> tuple[Said, ...]:
        if answer.status == "cancelled" and self.said:
            return (Said(self.said),)
        if answer.refusal is not None:
            return (*answer.messages, Said(answer.refusal))
        return answer.messages

    def _make(self, said: Said, answer: Answer) -> tuple[Json, Said, Json]:
        now, whole = self._state.now(), answer.status == "completed"
        files: list[Json] = [
            {"type": "image_file", "image_file": {"file_id": file_id, "detail": "auto"}}
            for file_id in answer.files
        ]
        part: Json = {
            "type": "text",
            "text": {"value": said.text, "annotations": list(said.annotations)},
        }
        if answer.refusal is not None and said.text == answer.refusal:
            part = {"type": "refusal", "refusal": answer.refusal}
        reason = _MESSAGE_REASONS.get(answer.reason, f"run_{answer.status}")
        message = {
            "id": self._state.new_id("msg"),
            "object": "thread.message",
            "created_at": now,
            "thread_id": self.thread.id,
            "assistant_id": self.body["assistant_id"],
            "run_id": self.id,
            "role": "assistant",
            "status": "completed" if whole else "incomplete",
            "completed_at": now if whole else None,
            "incomplete_at": None if whole else now,
            "incomplete_details": None if whole else {"reason": reason},
            "content": [*files, part],
            "attachments": [],
            "metadata": {},
        }
        details = {
            "type": "message_creation",
            "message_creation": {"message_id": message["id"]},
        }
        step = self._new_step("message_creation", details)
        if not whole:
            status = "failed" if answer.status == "incomplete" else answer.status
            step.update(status=status, completed_at=None)
        return message, said, step

    def _new_step(self, kind: str, details: Json) -> Json:
        now = self._state.now()
        return {
            "id": self._state.new_id("step"),
            "object": "thread.run.step",
            "created_at": now,
            "run_id": self.id,
            "assistant_id": self.body["assistant_id"],
            "thread_id": self.thread.id,
            "type": kind,
            "status": "completed",
            "completed_at": now,
            "cancelled_at": None,
            "expired_at": None,
            "failed_at": None,
            "last_error": None,
            "step_details": details,
            "usage": None,
            "metadata": {},
        }

    def _usage(self, answer: Answer) -> Json:
        tokens = answer.tokens
        given = tokens.input if tokens.input is not None else self._prompt_tokens
        made = tokens.output if tokens.output is not None else len(answer.whole_text) // 4 + 1
        return {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
        }

    def _tell(self, name: str) -> None:
        if self.streams:
            self.emit(Event(name, dict(self.body)))


def _deltas(message_id: str, said: Said, answer: Answer) -> list[Beat]:
    if answer.refusal is not None:
        return [_delta(message_id, {"type": "refusal", "refusal": said.text}, said.text)]
    beats = [
        _delta(message_id, {"type": "text", "text": {"value": piece, "annotations": []}}, piece)
        for piece in pieces(said.text, answer.piece)
    ]
    if said.annotations:
        notes = [{"index": index, **note} for index, note in enumerate(said.annotations)]
        beats.append(_delta(message_id, {"type": "text", "text": {"annotations": notes}}, ""))
    return beats


def _delta(message_id: str, part: Json, text: str) -> Beat:
    data = {
        "id": message_id,
        "object": "thread.message.delta",
        "delta": {"content": [{"index": 0, **part}]},
    }
    return Beat((Event("thread.message.delta", data),), text=text)
