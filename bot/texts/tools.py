"""Texts about tools, for people and the model."""

from collections.abc import Sequence

NOT_OFFERED = "Not run: this function is not available here."
TOO_MANY_CALLS = "Not run: the limit of calls for one answer is reached. Answer without it."
BUDGET_SPENT = "Not run: the budget is used up. Answer without it."
STOPPED = "Not run: the person has stopped this answer."
NO_INPUT = "Not run: the tool asks the person for input, which is not possible here."
UNKNOWN = (
    "No result: the call was interrupted. It is not known whether it took effect. "
    "Do not repeat it before the person has agreed."
)
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
