"""Approvals and decisions, stored in the journal of the turn.

While one is open, the turn is suspended: no worker holds its thread, and any worker can resume it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from bot.models import Thread, decode, encode
from bot.store.claims import GRANT, Claim
from bot.store.connection import Connection
from bot.store.journal import Turn
from bot.store.keys import Keys
from bot.store.redelivery import Redelivery
from bot.store.steps import Step, approval_step, card_step, decision_step

ApprovalVerdict = Literal["run", "denied", "expired", "withdrawn"]
DecisionOutcome = Literal["decided", "earlier", "gone", "changed", "expired"]
SUSPENDED = "waits for an approval"
MOST_GRANTS = 50
"""Tools that may be allowed in one thread."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to people: to allow a call, to fill in a form, or to visit an address.

    `shown` is the hash of everything on the card and of the call. `arguments` and
    `form` are JSON. `expires` is in epoch seconds.
    """

    id: str
    requester: str
    server: str
    tool: str
    arguments: str
    shown: str
    expires: float
    kind: Literal["call", "form", "url"] = "call"
    policy: str = ""
    grant: str = ""
    """The key of "Allow in this thread"; "" if that is not offered."""
    personal: bool = False
    """The call uses the requester's own account: only they may decide."""
    note: str = ""
    """Warnings for the person: look-alike names, external content that was read."""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of an approval. `by` is a person, or "" if no one decided.

    `reason` is the person's text, or why it was withdrawn. `content` is a filled-in form, as JSON.
    `at` is in epoch seconds.
    """

    verdict: ApprovalVerdict
    by: str = ""
    reason: str = ""
    at: float = 0.0
    in_thread: bool = False
    content: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """An approval for a click; `card` is the `ts` of its message, "" while unknown."""

    approval: Approval
    decision: Decision | None
    card: str


@dataclass(frozen=True, slots=True)
class Requested:
    """The state of a turn's approvals, in the order of the request.

    `interrupt` is the pending interrupt of the turn, or "".
    """

    interrupt: str
    approvals: tuple[tuple[Approval, Decision | None], ...]


class Approvals:
    """The approvals of all turns."""

    def __init__(self, connection: Connection, keys: Keys, redelivery: Redelivery) -> None:
        self._connection = connection
        self._keys = keys
        self._redelivery = redelivery

    async def request(self, turn: Turn, requester: str, wanted: Sequence[Approval]) -> Requested:
        """Record the questions, once, and return their state.

        Recorded questions are not replaced. From the first call on, a message of the `requester`
        withdraws open ones. Raises Superseded.
        """
        claim = turn.claim
        interrupt, *reply = await self._connection.run(
            "request_approvals",
            claim.thread,
            claim=claim.fence,
            name=claim.thread.key,
            requester=requester,
            approvals=[part for each in wanted for part in (each.id, encode(each))],
        )
        found = []
        for each, approval, decision in zip(wanted, reply[::2], reply[1::2], strict=True):
            turn.learn(approval_step(each.id), approval)
            if decision:
                turn.learn(decision_step(each.id), decision)
            found.append((decode(Approval, approval), _decision(decision)))
        return Requested(interrupt, tuple(found))

    async def suspend(self, turn: Turn) -> bool:
        """Release the claim until an open approval of the turn is decided or expires.

        False if a decision has come in the meantime, so that the turn is ready again. Raises
        Superseded.
        """
        claim = turn.claim
        approvals, decisions = turn.family(approval_step("")), turn.family(decision_step(""))
        open_ = [decode(Approval, text) for id, text in approvals.items() if id not in decisions]
        waits = await self._connection.run(
            "suspend",
            claim.thread,
            claim=claim.fence,
            name=claim.thread.key,
            due=min((approval.expires for approval in open_), default=0.0),
            reason=SUSPENDED,
            known=list(decisions),
        )
        return bool(waits)

    async def find(self, thread: Thread, turn_id: str, id: str) -> Pending | None:
        """An approval of the current turn; None once that turn has ended."""
        steps: tuple[Step[Any], ...] = (approval_step(id), decision_step(id), card_step(id))
        found, approval, decision, card = await self._connection.execute(
            "HMGET", self._keys.turn(thread), "id", *(f"={step.name}" for step in steps)
        )
        if found != turn_id or not approval:
            return None
        return Pending(
            decode(Approval, approval), _decision(decision), json.loads(card) if card else ""
        )

    async def decide(
        self, thread: Thread, turn_id: str, approval: Approval, decision: Decision
    ) -> tuple[DecisionOutcome, Decision | None]:
        """Store a person's decision durably, unless it is too late, and resume the turn.

        `earlier`: an earlier decision stays and is returned.
        """
        outcome, text = await self._connection.run_confirmed(
            "decide",
            thread,
            {},
            name=thread.key,
            turn_id=turn_id,
            id=approval.id,
            shown=approval.shown,
            decision=encode(decision),
        )
        if outcome == "decided":
            again = partial(self.decide, thread, turn_id, approval, decision)
            self._redelivery.remember_decision(again, thread)
        return outcome, _decision(text)

    async def grant(self, claim: Claim, grant: str, by: str) -> None:
        """Store "Allow in this thread" for the life of the thread's conversation."""
        await self._connection.run(
            "grant", claim.thread, claim=claim.fence, field=GRANT + grant, by=by, most=MOST_GRANTS
        )


def _decision(text: str | None) -> Decision | None:
    return decode(Decision, text) if text else None
