"""Traces of a thread's messages: deliveries, Web API calls and the app's own steps.

The app's own steps come from `LocalSlack.trace`, or from another process through the control API.
Only recorded facts are shown; nothing is guessed.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from local_slack.api.web_api import CallRecord
from local_slack.delivery.delivery import Attempt, Delivery
from local_slack.workspace.model import Json
from local_slack.workspace.state import State


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One step inside the app, at a time of the workspace's clock.

    `source` groups steps: "inbox", "turn" and "ai" have their own names on the page. A step without
    channel and thread belongs to all of them; `ts` ties it to one message. `messages` lists the
    messages that the turn `turn` has taken.
    """

    number: int
    source: str
    title: str
    at: float
    ms: float | None = None
    status: str = ""
    ok: bool = True
    detail: str = ""
    channel_id: str = ""
    thread_ts: str = ""
    ts: str = ""
    turn: str = ""
    messages: tuple[str, ...] = ()
    summary: str = ""
    """A sentence about all of it, which is shown above the steps."""

    def as_json(self) -> Json:
        return asdict(self) | {"id": f"trace-{self.number}", "messages": list(self.messages)}


def steps_of(
    state: State,
    channel_id: str,
    thread_ts: str,
    deliveries: list[Delivery],
    calls: list[CallRecord],
    traces: list[Trace],
) -> list[Json]:
    """Everything reported for a thread, in order of time."""
    known = {message.ts for message in state.thread(channel_id, thread_ts)} | {thread_ts}
    steps = [
        _delivered(delivery, attempt, number)
        for delivery in deliveries
        if delivery.channel_id == channel_id and _message_ts(delivery) in known
        for number, attempt in enumerate(delivery.attempts)
    ]
    steps += [_called(call) for call in calls if _is_about(call.args, channel_id, known)]
    steps += [trace.as_json() for trace in traces if _belongs_to(trace, channel_id, thread_ts)]
    return sorted(steps, key=lambda step: float(step["at"]))


def _message_ts(delivery: Delivery) -> str:
    """The message of a delivery; for a change, the changed message."""
    event = delivery.payload.get("event") or {}
    changed = event.get("message") or {}
    return str(changed.get("ts") or event.get("deleted_ts") or delivery.ts)


def _delivered(delivery: Delivery, attempt: Attempt, number: int) -> Json:
    event = delivery.payload.get("event") or {}
    again = f"retry {number}" if number else ""
    waiting = delivery.state == "pending" and attempt is delivery.attempts[-1]
    status = "ack" if attempt.status == 200 else str(attempt.status or attempt.reason)
    return {
        "id": f"delivery-{delivery.number}-{number}",
        "source": "slack",
        "title": delivery.name,
        "at": attempt.sent_at,
        "ms": attempt.ms,
        "status": "waiting" if waiting and not status else status,
        "ok": waiting or attempt.status == 200,
        "detail": ", ".join(filter(None, [event.get("subtype"), delivery.event_id, again])),
        "ts": _message_ts(delivery),
    }


def _is_about(args: Json, channel_id: str, known: set[str]) -> bool:
    if args.get("channel", args.get("channel_id")) != channel_id:
        return False
    return any(args.get(name) in known for name in ("thread_ts", "ts", "message_ts"))


def _called(call: CallRecord) -> Json:
    lost = "the answer was lost" if call.dropped else ""
    return {
        "id": f"call-{call.number}",
        "source": "api",
        "title": call.method,
        "at": call.at,
        "ms": call.ms,
        "status": "lost" if call.dropped else call.error,
        "ok": call.ok,
        "detail": ", ".join(filter(None, [_size(call.args), call.args.get("status"), lost])),
    }


def _size(args: Json) -> str:
    """The size of a call's text, never the text itself."""
    blocks = args.get("blocks")
    shown = [block.get("text") for block in blocks or [] if isinstance(block, dict)]
    texts: list[Any] = [text for text in shown if isinstance(text, str)]
    texts = texts or [args.get("markdown_text") or args.get("text") or ""]
    count = sum(len(str(text)) for text in texts)
    return f"{count} characters" if count else ""


def _belongs_to(trace: Trace, channel_id: str, thread_ts: str) -> bool:
    return trace.channel_id in ("", channel_id) and trace.thread_ts in ("", thread_ts)


def read_trace(values: Json) -> Iterator[tuple[str, Any]]:
    """The validated fields of a report; raises TypeError and ValueError."""
    kinds = {"source": str, "title": str, "at": float, "ms": float, "ok": bool}
    for name, value in values.items():
        if name == "messages":
            yield name, tuple(str(item) for item in value)
        elif name in Trace.__dataclass_fields__ and name != "number":
            yield name, kinds.get(name, str)(value)
        else:
            raise TypeError(f"unknown field: {name}")
