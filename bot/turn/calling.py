"""The calls of one round: each decided on, made at most once, and given an output."""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from bot.calls import CallOutcome, FunctionCall, FunctionOutput, HostedCall
from bot.models import Card
from bot.store import AuditLine, steps
from bot.store.audit import audit_fields
from bot.store.journal import Turn
from bot.store.step_values import Called
from bot.store.steps import Step
from bot.telemetry import audit_log
from bot.telemetry.log import log
from bot.texts import tools as texts
from bot.texts.approvals import REQUESTER_REFUSED
from bot.tools.tool import Caller, Tool, ToolResult, parse_arguments
from bot.tools.toolbox import Offer
from bot.turn.approvals import POLICY, PendingCall, Verdict, ask_input, decide_calls, grant_key
from bot.turn.called import approved, as_called, details, not_approved, outcome_of
from bot.turn.rounds_so_far import last_result
from bot.turn.run_context import RunContext
from bot.turn.together import run_together

LONGEST_ARGUMENTS = 100_000
"""Characters of the arguments of one call; with more it is not made."""
UNKNOWN: CallOutcome = "unknown"
NOT_RUN: CallOutcome = "not_run"
MOST_INPUTS = 5
"""Maximum number of inputs that one call may request from the person."""


class Calling:
    """Makes the calls of one round of a turn."""

    __slots__ = ("_interrupt", "_offer", "_request", "_services", "_show", "_turn", "_unkept")

    def __init__(self, context: RunContext) -> None:
        self._turn, self._services = context.turn, context.services
        self._request, self._offer = context.request, context.offer
        self._interrupt, self._show = context.interrupt, context.story.show_card
        self._unkept: dict[str, str] = {}
        """Results that may not be kept, by the keys of their calls: only this attempt has them."""

    async def make(self, calls: Mapping[str, FunctionCall]) -> None:
        """Make the calls of a round, by their keys, and record their results.

        Raises what `decide_calls` and `ask_input` raise, once the other calls have ended. After an
        interrupt some may be left without a result.
        """
        pending: list[PendingCall] = []
        for key, call in calls.items():
            found = find_pending(self._offer, key, call)
            if isinstance(found, str):
                await self.refuse({key: call}, found)
            elif self._is_open(key):
                pending.append(found)
        if pending and await self._is_refused():
            await self.refuse(calls, texts.not_approved("denied", REQUESTER_REFUSED))
        elif pending and not self._interrupt.raised.is_set():
            verdicts = await decide_calls(self._turn, self._services, self._request, pending)
            works = [self._carry_out(each, verdicts[each.key]) for each in pending]
            await run_together(works, self._interrupt, self._services.stop_grace)

    async def _is_refused(self) -> bool:
        """Whether the person who asked may no longer use the bot, for example since the turn was
        suspended."""
        message, channel = self._request.last, self._turn.claim.channel
        return bool(await self._services.rights.refusal(message, channel))

    async def refuse(self, calls: Mapping[str, FunctionCall], why: str) -> None:
        """Record that calls without a result are not made; `why` is for the model.

        The outcome of a call that an earlier attempt or an interrupt cut off is unknown, unless its
        tool only reads.
        """
        left = [(key, call) for key, call in calls.items() if self._is_open(key)]
        await asyncio.gather(*(self._refuse(key, call, why) for key, call in left))

    async def _refuse(self, key: str, call: FunctionCall, why: str) -> None:
        tool, step = self._offer.find(call), _open_step(self._turn, key)
        label = tool.label if tool else call.plain_name
        harmless = tool is not None and (tool.read_only or tool.server_side)
        lost = self._turn.may_be_done(step) and not harmless
        said, outcome = (texts.UNKNOWN, UNKNOWN) if lost else (why, NOT_RUN)
        called = Called(said, outcome, is_error=True, label=label)
        await self._audit(key, call, tool, None, called)
        await self._turn.note(step, called)
        await self._show(Card(call.id, label, "error"))

    def _is_open(self, key: str) -> bool:
        """Whether a call has no final result yet."""
        known = self._turn.recall(steps.call(key)) is not None
        return not known or last_result(self._turn, key).outcome == "input_required"

    async def _carry_out(self, pending: PendingCall, verdict: Verdict) -> None:
        await self._show(Card(pending.call.id, pending.tool.label, "in_progress"))
        called = await self._called(pending, verdict)
        if called.approved:
            return  # the AI server shows its call
        failed = called.is_error or called.outcome != "done"
        await self._show(
            Card(
                pending.call.id,
                pending.tool.label,
                "error" if failed else "complete",
                details(called),
            )
        )

    async def _called(self, pending: PendingCall, verdict: Verdict) -> Called:
        """The final result of a call; each requested input causes another call."""
        answers: Mapping[str, Any] | None = None
        for number in range(MOST_INPUTS):
            called = await self._call_once(pending, verdict, number, answers)
            if called.outcome != "input_required":
                return called
            answers = await ask_input(
                self._turn, self._services, self._request, pending, called, number + 1
            )
            if answers is None:
                break
        step = steps.call(pending.key, number + 1)
        called = Called(texts.NO_INPUT, "not_run", is_error=True, label=pending.tool.label)
        await self._turn.note(step, called)
        return called

    async def _call_once(
        self,
        pending: PendingCall,
        verdict: Verdict,
        number: int,
        answers: Mapping[str, Any] | None,
    ) -> Called:
        async def work(again: bool) -> Called:
            called = await self._call(pending, verdict, answers, again=again)
            await self._audit(pending.key, pending.call, pending.tool, verdict, called)
            if pending.tool.retained or called.outcome != "done":
                return called
            self._unkept[pending.key] = called.text
            return replace(called, text=texts.NOT_KEPT, unkept=True)

        return await self._turn.once(steps.call(pending.key, number), work)

    async def _call(
        self,
        pending: PendingCall,
        verdict: Verdict,
        answers: Mapping[str, Any] | None,
        *,
        again: bool,
    ) -> Called:
        """Make the call, unless it was denied, or may have been made before and is not
        repeatable."""
        tool = pending.tool
        if tool.server_side:
            return approved(tool, verdict)
        if again and not (tool.repeatable and verdict.decision == "run"):
            log.warning("tool_call_interrupted", turn=self._turn.id, server=tool.server)
            return Called(texts.UNKNOWN, "unknown", is_error=True, label=tool.label)
        if verdict.decision != "run":
            return not_approved(tool, verdict)
        began = time.monotonic()
        result = await self._make(pending, answers)
        called = as_called(result, tool, round((time.monotonic() - began) * 1000))
        return replace(called, source=grant_key(self._request.last.user_id, tool))

    async def with_unkept(
        self, calls: Mapping[str, FunctionCall], outputs: Sequence[FunctionOutput]
    ) -> tuple[FunctionOutput, ...]:
        """The outputs of calls, by their keys, with the results that are not in the journal.

        After a crash these calls, which only read, are made again.
        """
        for key, call in calls.items():
            if key not in self._unkept and last_result(self._turn, key).unkept:
                found = find_pending(self._offer, key, call)
                if not isinstance(found, str):
                    self._unkept[key] = (await self._make(found)).text
        return tuple(
            replace(output, text=self._unkept.get(key, output.text))
            for key, output in zip(calls, outputs, strict=True)
        )

    async def _make(
        self, pending: PendingCall, answers: Mapping[str, Any] | None = None
    ) -> ToolResult:
        toolbox = self._services.toolbox
        return await toolbox.call(pending.tool, pending.arguments, self._caller(), answers)

    def _caller(self) -> Caller:
        thread, last = self._turn.claim.thread, self._request.last
        return Caller(
            thread.team_id,
            thread.channel_id,
            thread.thread_ts,
            last.user_id,
            authors=tuple(dict.fromkeys(each.user_id for each in self._request.messages)),
            action_token=last.action_token,
            source=self._services.source,
            invite=partial(self._services.connecting.invite, last),
        )

    async def audit_hosted(self, key: str, hosted: HostedCall) -> None:
        """Add a line for a call that the AI server made itself."""
        called = Called(hosted.text, "unknown" if hosted.outcome == "unknown" else "done")
        called = replace(called, is_error=hosted.outcome == "failed")
        call = FunctionCall(hosted.id, hosted.name, hosted.arguments, hosted.server)
        verdict = Verdict("run", policy="approved" if hosted.approval else "ai_server")
        tool = Tool(hosted.name, "", {}, server=hosted.server)
        await self._audit(key, call, tool, verdict, called)

    async def _audit(
        self,
        key: str,
        call: FunctionCall,
        tool: Tool | None,
        verdict: Verdict | None,
        called: Called,
    ) -> None:
        """Add a line to the audit trail. After a crash a call may have two."""
        thread = self._turn.claim.thread
        digest = hashlib.sha256(call.arguments.encode("utf-8", "surrogatepass")).hexdigest()
        line = AuditLine(
            at=time.time(),
            team_id=thread.team_id,
            channel_id=thread.channel_id,
            thread_ts=thread.thread_ts,
            user_id=self._request.last.user_id,
            turn_id=self._turn.id,
            call_id=key,
            server=tool.server if tool else "",
            tool=tool.name if tool else call.plain_name,
            arguments_sha256=digest,
            decision=verdict.decision if verdict else "refused",
            decided_by=verdict.by if verdict else POLICY,
            policy=verdict.policy if verdict else "",
            outcome=outcome_of(called),
            milliseconds=called.milliseconds,
        )
        await self._services.store.audit.append(line)
        audit_log.record("tool_call", **audit_fields(line))


def find_pending(offer: Offer, key: str, call: FunctionCall) -> PendingCall | str:
    """The call with its tool and arguments, or the reason why it cannot be made."""
    tool = offer.find(call)
    if tool is None:
        return texts.NOT_OFFERED
    if len(call.arguments) > LONGEST_ARGUMENTS:
        return texts.bad_arguments("the arguments are too long")
    try:
        return PendingCall(key, call, tool, parse_arguments(call.arguments))
    except ValueError as error:
        return texts.bad_arguments(str(error))


def _open_step(turn: Turn, key: str) -> Step[Called]:
    """The first step of a call without a value."""
    numbers = (n for n in count() if turn.recall(steps.call(key, n)) is None)
    return steps.call(key, next(numbers))
