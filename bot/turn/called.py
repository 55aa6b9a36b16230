"""The results of calls: for the journal, for the audit trail, and for people."""

from bot.slack.markdown.plain import plain
from bot.store.step_values import Called
from bot.texts import tools as texts
from bot.tools.tool import Tool, ToolResult
from bot.turn.approvals import Verdict

SHOWN_CHARS = 100
"""Characters of a result that people see."""


def approved(tool: Tool, verdict: Verdict) -> Called:
    """The answer to the AI server's request for approval; repeating it has no effect."""
    if verdict.decision != "run":
        return not_approved(tool, verdict)
    return Called(texts.APPROVED, label=tool.label, approved=True)


def not_approved(tool: Tool, verdict: Verdict) -> Called:
    """The result of a call that was not approved."""
    why = texts.not_approved(verdict.decision, verdict.reason)
    return Called(why, "not_run", is_error=True, label=tool.label)


def details(called: Called) -> str:
    """What the card of a call shows once it is expanded."""
    took = f"{called.milliseconds / 1000:.1f} s" if called.milliseconds else ""
    if called.unkept:
        return took
    took = f"{took}: " if took else ""
    return took + plain(called.text[:SHOWN_CHARS], SHOWN_CHARS)


def outcome_of(called: Called) -> str:
    """The outcome for the audit trail."""
    if called.approved:
        return "approved"
    return "failed" if called.outcome == "done" and called.is_error else called.outcome


def as_called(result: ToolResult, tool: Tool, milliseconds: int) -> Called:
    """The result of a call that was made, for the journal."""
    return Called(
        text=result.text,
        outcome=result.outcome,
        is_error=result.is_error,
        label=tool.label,
        open_world=tool.open_world,
        milliseconds=milliseconds,
        request=result.request,
    )
