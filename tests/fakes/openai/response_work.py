"""A response in progress: its object, its events, and its end in the conversation."""

from typing import Any

from .answers import Answer, Json, Said
from .items import assistant_message, count_tokens, from_answer
from .state import Conversation, State
from .work import Beat, Event, Work, pieces

TERMINAL = frozenset({"completed", "failed", "incomplete", "cancelled"})

# The states of a hosted tool's item while it is streamed, after `in_progress`.
_PROGRESS = {
    "web_search_call": ("searching", "completed"),
    "file_search_call": ("searching", "completed"),
    "code_interpreter_call": ("interpreting", "completed"),
    "image_generation_call": ("generating", "completed"),
    "mcp_call": ("completed",),
    "mcp_list_tools": ("completed",),
}


class ResponseWork(Work):
    """A response; `given` are the items of its input, `memory` those that came before."""

    terminal = TERMINAL

    def __init__(
        self,
        state: State,
        answer: Answer,
        body: Json,
        *,
        given: list[Json],
        memory: list[Json],
        conversation: Conversation | None,
        streams: bool,
        stored: bool,
        obfuscates: bool = True,
    ) -> None:
        super().__init__(answer, body, streams=streams)
        self.given = given
        self.memory = memory
        self.stored = stored
        self._obfuscates = obfuscates
        self._state = state
        self._conversation = conversation
        self._made: tuple[Answer, list[Json]] | None = None

    def open(self) -> None:
        """The first events, before the task of the work runs."""
        self._tell("response.created", response=self._snapshot())
        if self.status == "queued":
            self._tell("response.queued", response=self._snapshot())

    def _begin(self) -> None:
        if self.status == "queued":
            self.body["status"] = "in_progress"
        if not any(event.name == "response.in_progress" for event in self.events):
            self._tell("response.in_progress", response=self._snapshot())

    def _plan(self, answer: Answer) -> list[Beat]:
        beats: list[Beat] = []
        for index, item in enumerate(self._output(answer)):
            beats.extend(self._plan_item(item, index, answer.piece))
        return beats

    def _plan_item(self, item: Json, index: int, size: int) -> list[Beat]:
        begun: Json = {**item, "status": "in_progress"} if "status" in item else item
        here: Json = {"output_index": index}
        if item["type"] == "message":
            begun["content"] = []
            middle = self._plan_part(item, here, size)
        else:
            middle = self._plan_tool(item, here)
        added = self._event("response.output_item.added", **here, item=begun)
        done = self._event("response.output_item.done", **here, item=item)
        return [Beat((added,)), *middle, Beat((done,))]

    def _plan_tool(self, item: Json, here: Json) -> list[Beat]:
        where = {**here, "item_id": item["id"]}
        kind = item["type"]
        if kind == "function_call":
            name = "response.function_call_arguments"
            whole = item["arguments"]
            delta = self._event(f"{name}.delta", **where, delta=whole)
            done = self._event(f"{name}.done", **where, arguments=whole)
            done.data["name"] = item["name"]
            return [Beat((delta,)), Beat((done,))]
        steps = ("in_progress", *_PROGRESS[kind]) if kind in _PROGRESS else ()
        return [Beat((self._event(f"response.{kind}.{step}", **where),)) for step in steps]

    def _plan_part(self, item: Json, here: Json, size: int) -> list[Beat]:
        part = item["content"][0]
        where = {**here, "item_id": item["id"], "content_index": 0}
        refuses = part["type"] == "refusal"
        field = "refusal" if refuses else "text"
        name = "response.refusal" if refuses else "response.output_text"
        extra: Json = {} if refuses else {"logprobs": []}
        noise: Json = {"obfuscation": "x" * 8} if self._obfuscates else {}
        empty: Json = {**part, field: ""} if refuses else {**part, field: "", "annotations": []}
        beats = [Beat((self._event("response.content_part.added", **where, part=empty),))]
        for piece in pieces(part[field], size):
            delta = self._event(f"{name}.delta", **where, delta=piece, **extra, **noise)
            beats.append(Beat((delta,), text=piece))
        for number, annotation in enumerate(part.get("annotations", [])):
            event = self._event(
                "response.output_text.annotation.added",
                **where,
                annotation_index=number,
                annotation=annotation,
            )
            beats.append(Beat((event,)))
        done = self._event(f"{name}.done", **where, **{field: part[field]}, **extra)
        beats.append(Beat((done,)))
        beats.append(Beat((self._event("response.content_part.done", **where, part=part),)))
        return beats

    def _end(self, answer: Answer) -> None:
        status = "failed" if answer.status == "expired" else answer.status
        status = "completed" if status == "requires_action" else status
        self.body["status"] = status
        self.body["output"] = self._output(answer)
        if status == "completed":
            self.body["completed_at"] = self._state.now()
        if status == "failed":
            self.body["error"] = {"code": answer.error_code, "message": answer.error_message}
        if status == "incomplete":
            self.body["incomplete_details"] = {"reason": answer.reason}
        if status in ("completed", "incomplete"):
            self.body["usage"] = self._usage(answer) if self._state.options.usage else None
        self._join_conversation(status)
        if status != "cancelled":
            self._tell(f"response.{status}", response=self._snapshot())

    def _join_conversation(self, status: str) -> None:
        conversation = self._conversation
        if conversation is None:
            return
        if conversation.active is self:
            conversation.active = None
        if status == "completed":
            conversation.items.extend([*self.given, *self.body["output"]])
        elif self._state.options.leaves == "input":
            conversation.items.extend(self.given)

    def _output(self, answer: Answer) -> list[Json]:
        if self._made is None or self._made[0] is not answer:
            self._made = (answer, self._make_output(answer))
        return self._made[1]

    def _make_output(self, answer: Answer) -> list[Json]:
        if answer.status == "cancelled" and self.said:
            message = assistant_message(Said(self.said), self._state.new_id)
            return [{**message, "status": "incomplete"}]
        return from_answer(answer, self._state.new_id)

    def _usage(self, answer: Answer) -> Json:
        tokens = answer.tokens
        instructions = self.body["instructions"] or ""
        counted = count_tokens([*self.memory, *self.given], instructions)
        given = counted if tokens.input is None else tokens.input
        made = len(answer.whole_text) // 4 + 1 if tokens.output is None else tokens.output
        return {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
            "total_tokens": given + made,
        }

    def _snapshot(self) -> Json:
        return dict(self.body)

    def _tell(self, name: str, **data: Any) -> None:
        if self.streams:
            self.emit(self._event(name, **data))

    def _event(self, name: str, **data: Any) -> Event:
        return Event(name, {"type": name, **data})

    def emit(self, *events: Event) -> None:
        """Number the events: a client resumes after the last number that it has seen."""
        for event in events:
            event.data["sequence_number"] = len(self.events)
            super().emit(event)
