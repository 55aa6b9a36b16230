"""Delivers events and interactions to the app: 3 s to acknowledge, three retries.

The transport decides how a payload is sent: signed HTTP or Socket Mode.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from local_slack.delivery.events import Event, envelope, events_of
from local_slack.delivery.faults import Faults
from local_slack.workspace.changes import Change
from local_slack.workspace.model import Json
from local_slack.workspace.workspace import Workspace

ACK_SECONDS = 3.0
# "Nearly immediately", after a minute, after five: docs.slack.dev/apis/events-api
RETRY_DELAYS = (1.0, 60.0, 300.0)
KEPT = 10_000
TWIN_GAP = 0.02

PayloadKind = Literal["events_api", "slash_commands", "interactive"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AppResponse:
    """The app's response: an HTTP status, or the reason why there is none."""

    status: int | None
    reason: str = ""
    body: Any = None
    retry: bool = True

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Attempt:
    """One attempt: when it was sent, the response time in ms, and the result."""

    sent_at: float
    ms: float | None = None
    status: int | None = None
    reason: str = ""


@dataclass
class Delivery:
    """One payload for the app, with all its attempts."""

    number: int
    kind: PayloadKind
    name: str
    payload: Json
    channel_id: str = ""
    ts: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    state: Literal["pending", "acknowledged", "failed"] = "pending"
    body: Any = None

    @property
    def event_id(self) -> str:
        return str(self.payload.get("event_id", ""))

    def as_json(self) -> Json:
        """All fields except the payload, for the page."""
        attempts = [vars(attempt) for attempt in self.attempts]
        names = ("number", "kind", "name", "channel_id", "ts", "event_id", "state")
        return {name: getattr(self, name) for name in names} | {"attempts": attempts}


class Transport(Protocol):
    """A connection to the app. `retry_num` is 0 for the first attempt."""

    async def send(
        self, delivery: Delivery, timeout: float, retry_num: int, retry_reason: str
    ) -> AppResponse: ...


class Deliveries:
    """Sends the events that the app subscribed to (`events`: names such as "message.im"; None:
    all).

    `time_factor` scales the pauses between retries, so that a test need not wait five minutes.
    """

    def __init__(
        self,
        workspace: Workspace,
        transport: Transport,
        faults: Faults,
        *,
        events: frozenset[str] | None = None,
        time_factor: float = 1.0,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.transport = transport
        self.events = events
        self.time_factor = time_factor
        self.ack_seconds = ack_seconds
        self.gate: asyncio.Event | None = None
        """Events that are sent while it is here are delivered once it is set."""
        self.log: deque[Delivery] = deque(maxlen=KEPT)
        self._workspace = workspace
        self._faults = faults
        self._tasks: set[asyncio.Task[Any]] = set()
        self._number = 0
        self._stop_observing = workspace.changes.observe(self._observe)

    async def close(self) -> None:
        self._stop_observing()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def pending(self) -> list[Delivery]:
        return [delivery for delivery in self.log if delivery.state == "pending"]

    def _observe(self, change: Change) -> None:
        events = [
            event
            for event in events_of(change, self._workspace)
            if self.events is None or event.name in self.events
        ]
        faults = self._faults
        reverse = faults.reverse_twins and len(events) == 2
        gap = max(faults.twin_gap, TWIN_GAP if reverse else 0.0)
        for position, event in enumerate(reversed(events) if reverse else events):
            if event.name == "app_mention" and faults.mentions_without_files:
                event.payload.pop("files", None)
            self.send_event(event, gap * position)

    def send_event(self, event: Event, hold: float = 0.0) -> None:
        """Deliver an event in the background, twice if that fault is on."""
        payload = envelope(self._workspace, event)
        for copy in range(2 if self._faults.deliver_twice else 1):
            inner = event.payload
            item = inner.get("item", {})
            delivery = self._record(
                "events_api",
                event.name,
                payload,
                str(inner.get("channel") or item.get("channel") or ""),
                str(inner.get("ts") or item.get("ts") or ""),
            )
            wait = hold + self._faults.draw_delay() + TWIN_GAP * copy
            self._start(self._deliver(delivery, wait, self.gate))

    async def send_interaction(
        self, kind: PayloadKind, name: str, payload: Json, ts: str = ""
    ) -> Delivery:
        """Deliver once, without retries (Slack does not repeat interactions), and wait."""
        channel = payload.get("channel") or {}
        channel_id = payload.get("channel_id") or channel.get("id", "")
        delivery = self._record(kind, name, payload, str(channel_id), ts)
        answer = await self._attempt(delivery, 0, "")
        self._finish(delivery, answer)
        return delivery

    def _record(
        self, kind: PayloadKind, name: str, payload: Json, channel_id: str, ts: str
    ) -> Delivery:
        self._number += 1
        delivery = Delivery(self._number, kind, name, payload, channel_id, ts)
        self.log.append(delivery)
        return delivery

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery, wait: float, gate: asyncio.Event | None) -> None:
        if gate:
            await gate.wait()
        if wait:
            await asyncio.sleep(wait)
        answer = await self._attempt(delivery, 0, "")
        for retry_num, delay in enumerate(RETRY_DELAYS, 1):
            if answer.ok or not answer.retry:
                break
            await asyncio.sleep(delay * self.time_factor)
            answer = await self._attempt(delivery, retry_num, answer.reason)
        self._finish(delivery, answer)

    async def _attempt(self, delivery: Delivery, retry_num: int, reason: str) -> AppResponse:
        attempt = Attempt(sent_at=self._workspace.clock.now())
        delivery.attempts.append(attempt)
        started = time.perf_counter()
        answer = await self.transport.send(delivery, self.ack_seconds, retry_num, reason)
        attempt.status, attempt.reason = answer.status, answer.reason
        if answer.status is not None:
            attempt.ms = round((time.perf_counter() - started) * 1000, 1)
        return answer

    def _finish(self, delivery: Delivery, answer: AppResponse) -> None:
        delivery.state = "acknowledged" if answer.ok else "failed"
        delivery.body = answer.body
        if not answer.ok:
            logger.warning("%s was not acknowledged: %s", delivery.name, answer.reason)
        self._workspace.changes.publish("delivery", **delivery.as_json())
