"""What the log, the audit log and the trace say about an attempt."""

from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from bot.models import Answer, Usage
from bot.store import Claim, Turn
from bot.store.step_values import Waits
from bot.store.steps import WAITS
from bot.telemetry import audit_log, metrics, trace
from bot.telemetry.log import log
from bot.telemetry.timeline import Timeline
from bot.turn.rounds_so_far import rounds_of
from bot.worker.outcomes import ComeBack

PEOPLE = "people"
"""The name of a wait for people in the log, among the names of dependencies."""


def log_taken(claim: Claim) -> None:
    """Log that a worker has claimed a thread."""
    log.debug(
        "turn_taken",
        thread=claim.thread.key,
        turn=claim.turn_id,
        messages=[message.ts for message in claim.messages],
        attempt=claim.attempt,
        crashes=claim.crashes,
    )


def log_delay(turn: Turn, delay: ComeBack) -> None:
    """Log that a turn is retried later; of an outage, `circuit_opened` is the warning."""
    facts = {
        "thread": turn.claim.thread.key,
        "turn": turn.id,
        "reason": delay.reason,
        "after": round(delay.after, 3),
        "attempt": turn.claim.attempt,
        "dependency": delay.dependency or None,
    }
    if delay.dependency:
        log.info("turn_delayed", **facts)
    else:
        log.warning("turn_delayed", **facts)


def span_of(claim: Claim) -> AbstractContextManager[object]:
    """The attempt's span, in the trace of the last message, linked to the traces of the others."""
    *others, last = (message.trace for message in claim.messages)
    return trace.span(
        "turn",
        parent=last,
        links=[other for other in others if other],
        kind="consumer",
        slack_thread=claim.thread.key,
        turn_id=claim.turn_id,
        turn_messages=len(claim.messages),
        turn_attempt=claim.attempt,
    )


def record_answer(turn: Turn, answer: Answer) -> None:
    """Write the line of the audit log: ids and numbers, no texts."""
    thread, usage = turn.claim.thread, answer.usage or Usage()
    calls = [call for each in rounds_of(turn) for call in each.asked.calls]
    audit_log.record(
        "answer",
        team=thread.team_id,
        channel=thread.channel_id,
        thread=thread.thread_ts,
        users=sorted({message.user_id for message in turn.claim.messages}),
        turn=turn.id,
        outcome=answer.outcome,
        reason=metrics.kind(answer.reason) if answer.reason else "",
        model=answer.model,
        tools=sorted({call.plain_name for call in calls}),
        **asdict(usage),
    )


def answer_fields(answer: Answer) -> dict[str, Any]:
    """The log fields of an answer: its outcome and usage, never its text."""
    usage = answer.usage or Usage()
    return {
        "outcome": answer.outcome,
        "reason": answer.reason or None,
        "model": answer.model or None,
        "run": answer.run_id or None,
        "characters": len(answer.text),
        **asdict(usage),
    }


def latency_of(claim: Claim, waits: Waits | None, spent: Timeline, now: float) -> dict[str, Any]:
    """The breakdown of an answer's latency, in seconds.

    `total`, since the person wrote, is the sum of `waited` (until the first worker took it),
    `waited_for` (by dependency that was down), `earlier` (earlier attempts and the pauses between
    them), `ai` and `slack` (calls in the last attempt), and `own` (the rest). The last
    attempt took `seconds`.
    """
    waited_for = waits.total(spent.began) if waits else {}
    total = max(0.0, now - asked_at(claim))
    waited = max(0.0, claim.taken_at - asked_at(claim))
    earlier = max(0.0, spent.began - claim.taken_at - sum(waited_for.values()))
    calls = sum(spent.seconds.values())
    parts = {
        "total": total,
        "waited": waited,
        "earlier": earlier,
        **spent.seconds,
        "own": max(0.0, now - spent.began - calls),
        "seconds": now - spent.began,
    }
    return {
        **{name: round(seconds, 3) for name, seconds in parts.items()},
        "waited_for": waited_for,
        "attempt": claim.attempt,
        "crashes": claim.crashes,
    }


def waited_for_people(turn: Turn, until: float) -> float:
    """Seconds in which the turn was suspended."""
    waits = turn.recall(WAITS)
    return waits.total(until).get(PEOPLE, 0.0) if waits else 0.0


def facts_of(turn: Turn) -> dict[str, Any]:
    """The log fields that identify a turn."""
    return {
        "thread": turn.claim.thread.key,
        "turn": turn.id,
        "messages": len(turn.claim.messages),
    }


def asked_at(claim: Claim) -> float:
    """When the person wrote the message, in epoch seconds."""
    return float(claim.messages[0].ts)
