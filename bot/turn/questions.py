"""Questions of a tool to a person in the middle of its call (MCP elicitation).

The call ends with `input_required`, the questions and an opaque state. Once they are answered it is
repeated with both, possibly days later or by another process.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.slack.approval_card import domain_of
from bot.slack.form_fields import UnsupportedForm
from bot.slack.forms import read_form
from bot.slack.literal import visible
from bot.store import Approval, Decision
from bot.store.journal import Turn
from bot.telemetry.log import log
from bot.texts import forms as texts
from bot.tools.tool import Tool
from bot.turn.services import Services
from bot.turn.suspension import ask_people, can_decide, digest

MOST_QUESTIONS = 5
"""Maximum questions of one call at a time."""
LONGEST_MESSAGE = 2_000

ACTIONS = {"run": "accept", "denied": "decline", "expired": "cancel", "withdrawn": "cancel"}


class Unanswerable(ValueError):
    """The tool's question cannot be put to people."""


async def ask_questions(
    turn: Turn,
    services: Services,
    requester: str,
    tool: Tool,
    id: str,
    asked: Mapping[str, Any],
) -> Mapping[str, Any] | None:
    """The responses and the state for the repeated call; None if it cannot be repeated.

    `id` identifies the call and its round of questions; `asked` is what the tool answered. Raises
    Suspended while an answer is missing.
    """
    questions, state = asked.get("inputRequests") or {}, asked.get("requestState")
    if not questions:
        return {"responses": {}, "state": state}
    expires = time.time() + services.toolbox.config.approval_hours * 3600
    try:
        if len(questions) > MOST_QUESTIONS or not can_decide(turn, requester):
            raise Unanswerable("too many questions, or no one to ask")
        wanted = [
            replace(
                question_of(f"{id}:{number}", requester, tool, each, expires, state),
                personal=services.toolbox.is_personal(tool),
            )
            for number, each in enumerate(questions.values())
        ]
    except (Unanswerable, UnsupportedForm) as error:
        log.warning("question_not_asked", turn=turn.id, server=tool.server, reason=str(error)[:100])
        return None
    decisions = await ask_people(turn, services, requester, wanted)
    responses = {
        key: _response(decision, approval)
        for key, decision, approval in zip(questions, decisions, wanted, strict=True)
    }
    return {"responses": responses, "state": state}


def question_of(
    id: str, requester: str, tool: Tool, question: Any, expires: float, state: Any
) -> Approval:
    """The questions for people. Raises Unanswerable and UnsupportedForm."""
    if not isinstance(question, Mapping) or question.get("method") != "elicitation/create":
        raise Unanswerable("not an elicitation")
    params = question.get("params")
    params = params if isinstance(params, Mapping) else {}
    asked = Approval(
        id=id,
        requester=requester,
        server=tool.server,
        tool=tool.name,
        arguments=visible(str(params.get("message") or ""))[:LONGEST_MESSAGE],
        shown=digest(tool.server, tool.name, params, state),
        expires=expires,
        kind="form",
    )
    if params.get("mode") == "url":
        return _visit(asked, params.get("url"))
    schema = params.get("requestedSchema")
    schema = schema if isinstance(schema, Mapping) else {}
    read_form(schema)
    return replace(asked, form=json.dumps(schema))


def _visit(asked: Approval, url: Any) -> Approval:
    """A question to visit an address, which is shown completely, with its domain separately."""
    if not isinstance(url, str) or not (domain := domain_of(url)):
        raise Unanswerable("not a web address")
    lines = (asked.arguments, "", f"{texts.ADDRESS}: {visible(url)}", f"{texts.DOMAIN}: {domain}")
    return replace(
        asked, kind="url", arguments="\n".join(lines), form=url, note=texts.CHECK_ADDRESS
    )


def _response(decision: Decision, approval: Approval) -> dict[str, Any]:
    response: dict[str, Any] = {"action": ACTIONS[decision.verdict]}
    if decision.verdict == "run" and approval.kind == "form":
        response["content"] = json.loads(decision.content)
    return response
