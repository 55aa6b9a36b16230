"""The ordered inbox: every message is taken once, in order, with one turn per thread at a time.

Delivery, pending entries and consumers are those of a Redis stream; the scripts in `lua/` tie a
thread's messages to its single entry in it. `prelude.lua` says how.
"""

from functools import partial

from bot.models import Message, Thread, encode
from bot.store.backlog import Backlog
from bot.store.claims import Amendment, DeliveryResult
from bot.store.inbox_part import SEEN_SECONDS
from bot.store.interrupting import Interrupting
from bot.store.settling import Settling
from bot.store.taking import Taking
from bot.telemetry.log import log


class Inbox(Taking, Settling, Backlog, Interrupting):
    """The inbox of all threads, for `web` (deliver) and for the workers (take, settle)."""

    async def deliver(self, message: Message) -> DeliveryResult:
        """Store a message durably, once; then it may be acknowledged to Slack.

        Duplicates are recognized by (team, channel, ts) or by event id for 26 hours. A message is
        not stored (and not `new`) if too many wait in its thread.
        """
        thread = message.thread
        new, waiting, active = await self._connection.run_confirmed(
            "deliver",
            thread,
            {"seen": self._keys.seen(message)},
            ts=message.ts,
            message=encode(message),
            name=thread.key,
            user=message.user_id,
            seen_seconds=SEEN_SECONDS,
            most=self._bounds.room_for(message),
        )
        if new < 0:
            log.warning("inbox_full", thread=thread.key, kind=message.kind)
        if new == 1 and self._redelivery:
            self._redelivery.remember(partial(self.deliver, message), message)
        return DeliveryResult(new == 1, waiting, bool(active))

    async def revise(self, message: Message, *, edited: bool = False) -> Amendment:
        """Replace the text of a message, as long as no turn has begun to answer it.

        `edited`: by its author, not by Slack. Then the turn that answers it withdraws what it asks
        people to approve.
        """
        return await self._amend(message.thread, message.ts, encode(message), withdraws=edited)

    async def withdraw(self, thread: Thread, ts: str) -> Amendment:
        """Remove a deleted message, as long as no turn has begun to answer it."""
        return await self._amend(thread, ts, "", withdraws=True)

    async def _amend(self, thread: Thread, ts: str, message: str, *, withdraws: bool) -> Amendment:
        amendment: Amendment = await self._connection.run(
            "amend",
            thread,
            {"seen": self._keys.seen_at(thread, ts)},
            ts=ts,
            name=thread.key,
            message=message,
            withdraws=int(withdraws),
        )
        return amendment
