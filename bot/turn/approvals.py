"""Decides which of the model's calls are made: by policy, and by people if the policy asks."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.calls import FunctionCall
from bot.slack.approval_card import render_arguments, shown_name
from bot.slack.literal import mixed_words, skeleton
from bot.store import Approval, Decision
from bot.store.approvals import MOST_GRANTS
from bot.store.journal import Turn
from bot.store.step_values import Called
from bot.store.steps import approval_step
from bot.texts import approvals as texts
from bot.tools.tool import Tool
from bot.turn.batch import Request
from bot.turn.external import read_external
from bot.turn.questions import ask_questions
from bot.turn.services import Services
from bot.turn.suspension import ask_people, can_decide, digest, may_decide

POLICY = "policy"
"""Takes the place of a person's id if the configuration decided."""
LONGEST_SHOWN = 120_000
"""Maximum characters of arguments that a person can be asked to review."""


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A requested call of an offered tool. `key` is unique in the turn."""

    key: str
    call: FunctionCall
    tool: Tool
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a call, and who made it: a person's id, `POLICY`, or "" if it expired.

    `reason` is for the model, if the call is not made. `policy` is the policy's decision: `allow`,
    `deny`, `ask`, `ask_after_external` (content was read that may contain instructions) or `thread`
    (a person allowed the tool in this thread).
    """

    decision: Literal["run", "denied", "expired", "withdrawn"]
    by: str = POLICY
    reason: str = ""
    policy: str = "allow"


async def decide_calls(
    turn: Turn, services: Services, request: Request, pending: Sequence[PendingCall]
) -> dict[str, Verdict]:
    """A verdict for each call, by its key. After a crash it is called again with the same calls.

    Raises Suspended while a person has yet to decide.
    """
    asking = _Asking(turn, services, request)
    verdicts = {each.key: await asking.by_policy(each) for each in pending}
    asked = [each for each in pending if verdicts[each.key] is None]
    wanted = [await asking.approval_of(each) for each in asked]
    decisions = await ask_people(turn, services, asking.requester, wanted) if wanted else []
    for each, approval, decision in zip(asked, wanted, decisions, strict=True):
        if decision.in_thread and decision.verdict == "run":
            await services.store.approvals.grant(turn.claim, approval.grant, decision.by)
        verdicts[each.key] = _verdict(decision, approval.policy)
    return {key: verdict for key, verdict in verdicts.items() if verdict}


class _Asking:
    """The policy of one turn, and its questions to people."""

    def __init__(self, turn: Turn, services: Services, request: Request) -> None:
        self._turn = turn
        self._services = services
        self._toolbox = services.toolbox
        self.requester = request.last.user_id
        known = request.conversation
        self._in_turn = read_external(turn, request) or bool(known and known.external)
        self._sources = known.sources if known else frozenset()

    async def by_policy(self, pending: PendingCall) -> Verdict | None:
        """The verdict of the policy alone; None if a person must be asked."""
        tool, channel_id = pending.tool, self._turn.claim.thread.channel_id
        decision = self._toolbox.decide(tool, channel_id, read_external=self._external)
        if decision == "deny":
            return Verdict("denied", reason=texts.FORBIDDEN, policy="deny")
        if self._turn.recall(approval_step(pending.key)) is not None:
            return None  # once people are asked, their decision counts
        if decision == "allow":
            return Verdict("run")
        if by := await self._granted_by(tool):
            return Verdict("run", by, policy="thread")
        if not can_decide(self._turn, self.requester):
            return Verdict("denied", reason=texts.NO_ONE, policy="ask")
        if len(render_arguments(pending.arguments)) > LONGEST_SHOWN:
            return Verdict("denied", reason=texts.TOO_LONG, policy="ask")
        return None

    async def _granted_by(self, tool: Tool) -> str:
        """The person who allowed the tool in this thread and may still do so; or "". External
        content voids that, except earlier results of the tool itself.
        """
        grant = grant_key(self.requester, tool)
        if self._in_turn or self._sources - {grant} or self._toolbox.asks_always(tool):
            return ""
        by, personal = self._turn.claim.grants.get(grant, ""), self._toolbox.is_personal(tool)
        if by and await may_decide(self._turn, self._services, self.requester, by, personal):
            return by
        return ""

    async def approval_of(self, pending: PendingCall) -> Approval:
        """The question to people about a call."""
        tool, arguments = pending.tool, pending.arguments
        offered = grant_key(self.requester, tool) if self._may_grant(tool) else ""
        return Approval(
            id=pending.key,
            requester=self.requester,
            server=tool.server,
            tool=tool.name,
            arguments=render_arguments(arguments),
            shown=digest(tool.server, tool.name, _definition(tool), arguments),
            expires=time.time() + self._toolbox.config.approval_hours * 3600,
            policy="ask_after_external" if self._external else "ask",
            grant=offered,
            personal=self._toolbox.is_personal(tool),
            note="\n".join(await self._notes(pending)),
        )

    def _may_grant(self, tool: Tool) -> bool:
        is_full = len(self._turn.claim.grants) >= MOST_GRANTS
        return not is_full and not self._toolbox.asks_always(tool)

    async def _notes(self, pending: PendingCall) -> list[str]:
        """Warnings about what a person could overlook."""
        tool, notes = pending.tool, []
        if self._external:
            notes.append(texts.EXTERNAL_CONTENT)
        if not tool.name.isascii():
            notes.append(texts.odd_name(shown_name(tool.name)))
        offer = await self._toolbox.offer(self._turn.claim.thread.channel_id)
        others = (*offer.functions.values(), *offer.servers.values())
        if similar := lookalikes(tool, others):
            notes.append(texts.lookalike(shown_name(tool.name), similar))
        if words := mixed_words(render_arguments(pending.arguments)):
            notes.append(texts.mixed(words))
        return notes

    @property
    def _external(self) -> bool:
        return self._in_turn or bool(self._sources)


def grant_key(requester: str, tool: Tool) -> str:
    """The key of "Allow in this thread": it applies to one person and one definition of the
    tool."""
    return digest(requester, tool.server, tool.name, _definition(tool))[:32]


def lookalikes(tool: Tool, others: Iterable[Tool], most: int = 3) -> list[str]:
    """Tools whose name is easily mistaken for this one's."""
    seen = skeleton(tool.name)
    found = {
        f"{shown_name(other.server)}: {shown_name(other.name)}"
        for other in others
        if other.name != tool.name and skeleton(other.name) == seen
    }
    return sorted(found)[:most]


def _verdict(decision: Decision, policy: str) -> Verdict:
    reason = decision.reason
    if decision.verdict == "denied":
        reason = texts.reason_for_model(decision.reason, by_person=bool(decision.by))
    elif decision.verdict == "withdrawn":
        reason = texts.WITHDRAWN.get(decision.reason, texts.OVER)
    return Verdict(decision.verdict, decision.by, reason, policy)


def _definition(tool: Tool) -> str:
    """The hash of a tool's definition: a changed one counts as another tool."""
    return digest(tool.description, tool.parameters, tool.repeatable, tool.read_only)


async def ask_input(
    turn: Turn,
    services: Services,
    request: Request,
    pending: PendingCall,
    called: Called,
    number: int,
) -> Mapping[str, Any] | None:
    """The person's answer to a tool's question; None if there can be none.

    `called.request` has the questions and the server's opaque state; `number` counts the rounds of
    questions of this call. Raises Suspended while an answer is missing.
    """
    requester, id = request.last.user_id, f"{pending.key}:{number}"
    return await ask_questions(turn, services, requester, pending.tool, id, called.request)
