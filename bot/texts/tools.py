"""Texts about tools, for people and the model."""

from collections.abc import Sequence

from bot.calls import ToolServer, ToolSummary

NOT_OFFERED = "Not run: this function is not available here."
TOO_MANY_CALLS = "Not run: the limit of calls for one answer is reached. Answer without it."
BUDGET_SPENT = "Not run: the budget is used up. Answer without it."
STOPPED = "Not run: the person has stopped this answer."
NO_INPUT = "Not run: the tool asks the person for input, which is not possible here."
UNKNOWN = (
    "No result: the call was interrupted. It is not known whether it took effect. "
    "Do not repeat it unless the person agrees."
)
APPROVED = "Approved."
NOT_KEPT = "[The result may not be kept. Call the function again if you need it.]"
NOT_MADE = "Not run: the answer ended first."


def bad_arguments(problem: str) -> str:
    """The output for the model for invalid arguments."""
    return f"Not run: {problem}."


def not_approved(decision: str, reason: str) -> str:
    """The output for the model for a call that was not approved."""
    return f"Not run: {decision}, {reason}." if reason else f"Not run: {decision}."


def outcome_unknown(labels: Sequence[str]) -> str:
    """The note below the answer about calls that may have taken effect, or ""."""
    if not labels:
        return ""
    names = ", ".join(f"`{label.replace('`', '')}`" for label in dict.fromkeys(labels))
    return (
        f"⚠️ No result came back from {names}. It may have taken effect or not: "
        "please check before you ask for it again."
    )


DESCRIPTION = "Tools of this channel"
HEADING = "*Tools in this channel*"
NONE_CONFIGURED = "This bot has no tools."
OFF_BY_FILE = "the configuration names other channels"
OFF_BY_CHANNEL = "an admin has turned it off in this channel"
_ASKS = {
    "never": "called without asking, unless the answer has used external content",
    "writes": "asks before a tool that may change something",
    "always": "asks before each call",
}


def own_tools(names: Sequence[str]) -> str:
    """The line about tools of this repository."""
    return f"• built in: {_names(names)}"


def missing_scope(scope: str) -> str:
    """The line about a scope without which one of them finds nothing."""
    return f"    ⚠️ the search needs the scope `{scope}`, which an admin can add to the app"


def ai_server_tools(names: Sequence[str]) -> str:
    """The line about tools that the AI server runs."""
    return f"• run by the AI server: {_names(names)}"


def server_on(server: ToolServer) -> str:
    """The line about a server that is offered."""
    parts = [_ASKS[server.ask]]
    if server.server_side:
        parts.append("called by the AI server")
    if server.personal:
        parts.append("with your own account")
    if server.always_ask:
        parts.append(f"always asks before {_names(server.always_ask)}")
    if server.allow != ("*",):
        parts.append(f"only {_names(server.allow)}")
    if server.deny:
        parts.append(f"without {_names(server.deny)}")
    return f"• *{server.name}*: {'; '.join(parts)}"


def server_off(name: str, reason: str) -> str:
    """The line about a server that is not offered."""
    return f"• ~{name}~: off, because {reason}"


def bounds(summary: ToolSummary) -> str:
    """The last line: how much one answer may call."""
    return f"_One answer makes at most {summary.calls} calls, in {summary.rounds} rounds._"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
