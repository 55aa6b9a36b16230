"""Asks people for approval: posts a card for each question and suspends the turn until they
decide."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace

from bot.errors import Retry, Suspended
from bot.models import decode
from bot.store import Approval, Decision, steps
from bot.store.journal import Turn
from bot.telemetry.log import log
from bot.texts import approvals as texts
from bot.turn.services import Services

APP = "B"
"""The prefix of ids of apps, which cannot press buttons."""


def digest(*parts: object) -> str:
    """The hash of JSON data."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def can_decide(turn: Turn, requester: str) -> bool:
    """Whether there is a person who may decide."""
    return bool(turn.claim.channel.approvers) or not requester.startswith(APP)


async def ask_people(
    turn: Turn, services: Services, requester: str, wanted: Sequence[Approval]
) -> list[Decision]:
    """The decisions of people. Each question is asked once, even if this is called again after a
    crash.

    Raises Suspended while a decision is missing. A question with a known id that differs from the
    shown one counts as denied.
    """
    requested = await services.store.approvals.request(turn, requester, wanted)
    decisions: list[Decision] = []
    for want, (approval, decision) in zip(wanted, requested.approvals, strict=True):
        if approval.shown != want.shown:
            log.warning("approval_differs", turn=turn.id, approval=approval.id)
            decision = Decision("denied", reason=texts.REPLACED, at=time.time())
        elif decision is None:
            await _show(turn, services, approval)
        else:
            decision = await still_valid(turn, services, approval, decision)
            await _close_quickly(turn, services, approval, decision)
        decisions += [decision] if decision else []
    if len(decisions) < len(wanted):
        raise Suspended("approval")
    return decisions


async def still_valid(
    turn: Turn, services: Services, approval: Approval, decision: Decision
) -> Decision:
    """The decision; a denial if its person has lost the right to decide since the click."""
    if decision.verdict != "run" or not decision.by:
        return decision
    if await may_decide(turn, services, approval.requester, decision.by, approval.personal):
        return decision
    return Decision("denied", reason=texts.DECIDER_REFUSED, at=time.time())


async def may_decide(
    turn: Turn, services: Services, requester: str, by: str, personal: bool
) -> bool:
    """Whether a person may decide now about a call of this turn."""
    claim = turn.claim
    return not await services.rights.decision_refusal(
        claim.thread, by, "", requester, personal=personal, settings=claim.channel
    )


async def _show(turn: Turn, services: Services, approval: Approval) -> None:
    """Post the card. If Slack refuses it, no one can decide: the call is denied."""
    approvers = () if approval.personal else turn.claim.channel.approvers
    if not await services.cards.show(turn, approval, approvers):
        decision = Decision("denied", reason=texts.NOT_SHOWN, at=time.time())
        thread = turn.claim.thread
        await services.store.approvals.decide(thread, turn.id, approval, decision)


async def _close_quickly(
    turn: Turn, services: Services, approval: Approval, decision: Decision
) -> None:
    """Show the outcome; if Slack refuses it now, it is shown when the turn ends."""
    try:
        await services.cards.close(turn, approval, decision)
    except Retry as error:
        log.info("card_not_closed", turn=turn.id, error=error.reason)


async def close_cards(turn: Turn, services: Services, reason: str = "") -> None:
    """Show the outcome on the cards of a turn that ends. Open questions are withdrawn.

    `reason` is that of an interrupt.
    """
    for id, text in turn.family(steps.approval_step("")).items():
        if turn.recall(steps.closed_card(id)):
            continue
        approval = decode(Approval, text)
        ended = Decision("withdrawn", reason=reason, at=time.time())
        _, decision = await services.store.approvals.decide(
            turn.claim.thread, turn.id, approval, ended
        )
        was_run = _was_run(turn, id)
        if decision is None or (decision.verdict == "run" and not was_run):
            decision = replace(ended, by="")
        await services.cards.close(turn, approval, decision)


def _was_run(turn: Turn, id: str) -> bool:
    """Whether the approved call was made, as far as we know."""
    called = turn.recall(steps.call(id))
    return called is None or called.outcome != "not_run"
