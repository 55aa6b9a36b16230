"""The behaviour of the fake model: the script of a test, as data."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Json = dict[str, Any]
Protocol = Literal["responses", "assistants", "chat_completions"]
AnswerStatus = Literal[
    "completed", "failed", "incomplete", "expired", "cancelled", "requires_action"
]


@dataclass(frozen=True)
class Call:
    """A function call of the model; `arguments` is JSON text."""

    name: str
    arguments: str = "{}"
    call_id: str | None = None


@dataclass(frozen=True)
class Said:
    """One message of an answer of several, with its phase (`commentary`, `final_answer`)."""

    text: str
    phase: str | None = None
    annotations: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Tokens:
    """Usage as the answer reports it; a None is counted from the texts."""

    input: int | None = None
    output: int | None = None
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class Answer:
    """One answer of the fake model, with its timing and end.

    The request is queued for `queued` seconds, then works for `seconds` (streamed answers spread
    their chunks over them), then, if `polls` is given, until it was polled that many times, and, if
    `hold` is given, until a test calls `finish()`: streamed text is held after `hold` chunks. A
    failed, incomplete or cancelled answer may have text, too: it was streamed before the end.
    """

    text: str = ""
    status: AnswerStatus = "completed"
    said: tuple[Said, ...] = ()
    annotations: tuple[Json, ...] = ()
    refusal: str | None = None
    reasoning: str = ""
    """Shown by chat completions only, beside the answer."""
    calls: tuple[Call, ...] = ()
    items: tuple[Json, ...] = ()
    files: tuple[str, ...] = ()
    error_code: str = "server_error"
    error_message: str = "The model produced an error."
    reason: str = ""
    tokens: Tokens = field(default_factory=Tokens)
    queued: float = 0
    seconds: float = 0
    polls: int | None = None
    hold: int | None = None
    piece: int = 12

    @property
    def messages(self) -> tuple[Said, ...]:
        """The messages of the answer, in order; an answer with only calls has none."""
        if self.said:
            return self.said
        if self.text or (self.status == "completed" and not self.calls and self.refusal is None):
            return (Said(self.text, annotations=self.annotations),)
        return ()

    @property
    def whole_text(self) -> str:
        return "".join(said.text for said in self.messages) or (self.refusal or "")


@dataclass(frozen=True)
class Prompt:
    """The input of the model: the request, and the history of its conversation.

    `user_messages` are the texts of all messages of the user so far, this request's included;
    `turn` counts from 1; `outputs` maps call ids to the function outputs of this request.
    """

    protocol: Protocol
    body: Json
    conversation_id: str | None
    model: str
    instructions: str
    user_messages: tuple[str, ...]
    turn: int
    outputs: Json = field(default_factory=dict)


Script = Callable[[Prompt], "Answer | str"]


def echo(prompt: Prompt) -> Answer:
    """The default answer: shows the messages of the conversation."""
    if prompt.outputs:
        return Answer(f"turn {prompt.turn}: {' | '.join(map(str, prompt.outputs.values()))}")
    return Answer(f"turn {prompt.turn}: {' | '.join(prompt.user_messages)}")


def as_answer(value: Answer | str) -> Answer:
    return Answer(value) if isinstance(value, str) else value


def failed(code: str = "server_error", message: str = "Failed.", text: str = "") -> Answer:
    return Answer(text, status="failed", error_code=code, error_message=message)


def incomplete(reason: str, text: str = "") -> Answer:
    """`reason`: max_output_tokens, content_filter (Responses); max_completion_tokens,
    max_prompt_tokens (runs)."""
    return Answer(text, status="incomplete", reason=reason)


def expired() -> Answer:
    """A run expires; a response, which cannot expire, fails with server_error."""
    return Answer(status="expired")


def calling(*calls: Call) -> Answer:
    """Function calls: a response completes with them, a run waits in requires_action."""
    return Answer(calls=calls)


def held(answer: Answer | str, after: int = 0) -> Answer:
    """Works until `finish()` is called; a streamed answer sends `after` chunks before that."""
    return replace(as_answer(answer), hold=after)


def after_polls(answer: Answer | str, polls: int) -> Answer:
    return replace(as_answer(answer), polls=polls)


def slow(answer: Answer | str, seconds: float, queued: float = 0) -> Answer:
    return replace(as_answer(answer), seconds=seconds, queued=queued)


def never() -> Answer:
    """Works forever; a run expires at the end of its lifetime."""
    return held("")


def mixed(choices: Sequence[tuple[float, Answer | Script | str]], seed: int = 0) -> Script:
    """Draws one of several (weight, answer) pairs for each request, reproducibly for a seed."""
    chance = random.Random(seed)
    weights = [weight for weight, _ in choices]

    def draw(prompt: Prompt) -> Answer:
        (_, chosen), *_ = chance.choices(choices, weights)
        return as_answer(chosen(prompt) if callable(chosen) else chosen)

    return draw


NAMED: dict[str, Script] = {
    "echo": echo,
    "never": lambda _: never(),
    "held": lambda prompt: held(echo(prompt)),
    "failed": lambda _: failed(),
    "rate_limited": lambda _: failed("rate_limit_exceeded", "Rate limit reached."),
    "expired": lambda _: expired(),
    "incomplete": lambda _: incomplete("max_output_tokens", "This much and"),
    "empty": lambda _: incomplete("max_output_tokens"),
}
