"""Interrupts: requests to end a thread's turn, with who asked for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.models import Thread
from bot.store.claims import InterruptReason, parse_interrupt
from bot.store.inbox_part import InboxPart

Order = Literal["stop", "reset"]
ITSELF = "bot"
"""Takes the place of who asked if the bot itself did."""
MOST_ASKED = 4_000
"""Maximum characters of who asked for the end of one turn."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A person who asked for the end of a turn. `user_team_id` is their workspace, if known."""

    reason: Order
    user_id: str
    user_team_id: str = ""


@dataclass(frozen=True, slots=True)
class Askers:
    """All people who asked for the end of a turn; `text` is the stored form."""

    text: str
    people: Sequence[Asker]


class Interrupting(InboxPart):
    """The interrupts of all turns."""

    async def interrupt(
        self, thread: Thread, reason: Order, user_id: str = "", user_team_id: str = ""
    ) -> bool:
        """Ask the thread's turn to end; False if none is under way.

        A turn that waits for its next attempt is resumed at once. Without a `user_id` the bot
        itself asks.
        """
        by = "|".join((reason, user_id, user_team_id)) if user_id else ITSELF
        found = await self._connection.run(
            "interrupt", thread, name=thread.key, reason=reason, by=by, most=MOST_ASKED
        )
        return bool(found)

    async def interrupt_of(self, thread: Thread) -> InterruptReason | None:
        """The pending interrupt of the thread's turn, if any."""
        found = await self._connection.execute("HGET", self._keys.interrupts, thread.key)
        return parse_interrupt(found)

    async def asked(self, thread: Thread) -> Askers | None:
        """Who asked for the end of the thread's turn; None if the bot itself did, or an older
        version stored it."""
        text = await self._connection.execute("HGET", self._keys.turn(thread), "asked") or ""
        found = [each.split("|") for each in text.split()]
        if not found or [ITSELF] in found:
            return None
        people = [Asker(_order(each[0]), *each[1:]) for each in found if len(each) == 3]
        return Askers(text, people)

    async def ignore_interrupt(self, thread: Thread, asked: Askers) -> bool:
        """Remove the interrupt of a turn; False if others have asked for it, too, since `asked`."""
        removed = await self._connection.run(
            "ignore_interrupt", thread, name=thread.key, asked=asked.text
        )
        return bool(removed)


def _order(text: str) -> Order:
    return "reset" if text == "reset" else "stop"
