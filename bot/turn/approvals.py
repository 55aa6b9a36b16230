"""Which of the model's calls are made: by policy, and by people where the policy asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.calls import FunctionCall
from bot.store.journal import Turn
from bot.store.steps import Called
from bot.tools.tool import Tool
from bot.turn.batch import Request
from bot.turn.services import Services

POLICY = "policy"
"""In place of a person's id: the configuration has decided."""


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that the model asks for, of a tool that is offered. `key` is unique in the turn."""

    key: str
    call: FunctionCall
    tool: Tool
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a call, and who decided it: a person's id or `POLICY`.

    `reason` is for the model, where the call is not made.
    """

    decision: Literal["run", "denied", "expired", "withdrawn"]
    by: str = POLICY
    reason: str = ""


async def decide_calls(
    turn: Turn, services: Services, request: Request, pending: Sequence[PendingCall]
) -> dict[str, Verdict]:
    """A verdict for each call, by its key. Called again, with the same calls, after a crash."""
    channel_id = turn.claim.thread.channel_id
    decide = services.toolbox.decide
    decisions = {each.key: decide(each.tool, channel_id, read_external=False) for each in pending}
    return {
        key: Verdict("run")
        if decision == "allow"
        else Verdict("denied", reason="nobody can be asked to approve it")
        for key, decision in decisions.items()
    }


async def ask_input(
    turn: Turn, services: Services, request: Request, pending: PendingCall, called: Called
) -> Mapping[str, Any] | None:
    """The person's answer to what a tool asks for; None where it cannot be had.

    `called.request` has the questions and the server's opaque state.
    """
    return None
