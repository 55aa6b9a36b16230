"""Notes for `bot doctor`: when Slack last reached the bot, and when a signature was rejected."""

import asyncio
import time
from collections.abc import Mapping

from bot.checks import Finding, failed, ok, warning
from bot.errors import StoreUnavailable
from bot.slack.signatures import FORGED, SKEWED, UNSIGNED
from bot.store import Store
from bot.telemetry import metrics
from bot.telemetry.log import log

EVENT = "last_event"
REJECTED = "last_rejected"
NOT_INSTALLED = "last_not_installed"
EVENT_EVERY = 10.0
REJECTED_EVERY = 60.0
KEPT_SECONDS = 30 * 86400

CAUSES: Mapping[str, str] = {
    SKEWED: "the request is older or newer than 300 s: the clock of this machine is wrong, or "
    "an old request was sent again",
    FORGED: "SLACK_SIGNING_SECRET belongs to another app, or another sender imitates Slack",
}


class DeliveryNotes:
    """Writes the notes in the background, each at most once per interval."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def accepted(self) -> None:
        """Note that a request or an envelope from Slack has arrived."""
        if self._is_due(EVENT, EVENT_EVERY):
            self._start(EVENT, f"{time.time():.0f}")

    def rejected(self, reason: str) -> None:
        """Note a rejected request. Unsigned ones are only counted: they are not from Slack."""
        metrics.rejected.labels(reason).inc()
        if reason != UNSIGNED and self._is_due(REJECTED, REJECTED_EVERY):
            log.warning("signature_rejected", cause=CAUSES[reason])
            self._start(REJECTED, f"{time.time():.0f} {reason}")

    def not_installed(self, team_id: str) -> None:
        """Note a request of a workspace for which there is no installation."""
        metrics.not_installed.inc()
        if self._is_due(NOT_INSTALLED, REJECTED_EVERY):
            log.warning("workspace_not_installed", team=team_id)
            self._start(NOT_INSTALLED, f"{time.time():.0f} {team_id}")

    def _is_due(self, name: str, every: float) -> bool:
        now = time.monotonic()
        if now - self._noted.get(name, -every) < every:
            return False
        self._noted[name] = now
        return True

    def _start(self, name: str, value: str) -> None:
        task = asyncio.create_task(self._note(name, value))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _note(self, name: str, value: str) -> None:
        try:
            await self._store.flags.note(name, value, KEPT_SECONDS)
        except StoreUnavailable as error:
            log.debug("delivery_not_noted", error=str(error))


def judge_deliveries(event: str | None, rejected: str | None, now: float) -> Finding:
    """Read the notes that `DeliveryNotes` keeps."""
    at, _, reason = (rejected or "").partition(" ")
    if reason and (event is None or float(at) > float(event)):
        where = "https://api.slack.com/apps → your app → Basic Information → Signing Secret"
        fix = f"{CAUSES.get(reason, reason)}; {where}"
        return failed(f"a signature was rejected {describe_age(now - float(at))}", fix)
    if event is None:
        fix = "mention the bot in Slack; if nothing comes, compare App Manifest with `bot manifest`"
        return warning("no event of Slack has ever arrived", fix)
    return ok(f"last event {describe_age(now - float(event))}")


def describe_age(seconds: float) -> str:
    """Such as "3 minutes ago"."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return f"{max(0, int(seconds))} s ago"
