"""The cards on which people allow or deny the model's calls."""

from collections.abc import Sequence

from bot.texts.home import date

QUESTION = "May I do this?"
SERVER = "Server"
TOOL = "Tool"
OWN_TOOL = "built in"
ALLOW = "Allow once"
ALLOW_IN_THREAD = "Allow in this thread"
DENY = "Deny"
SHOW_ALL = "Show all of it"
ARGUMENTS = "Arguments"
CLOSE = "Close"
NEXT = "Next page"
BACK = "Previous page"

DENY_TITLE = "Deny this call"
REASON = "Reason"
REASON_HINT = "The assistant reads it."
CANCEL = "Cancel"

GONE = "This question is closed: its answer has ended."
CHANGED = "The call has changed since this was shown. Nothing was done."
EXPIRED = "This decision came too late: the approval has expired."
OTHER_PERSON = "only the person who asked and the approvers of the channel can decide this"

WAITS_BEHIND = "This thread waits for an approval above. I will answer you once it is decided."

EXTERNAL_CONTENT = (
    "The assistant has read content from elsewhere (the web, a file, another person, a tool). "
    "Such content may contain instructions: check that this is what you asked for."
)
WITHDRAWN = {
    "message": "a new message came",
    "edit": "the question was edited",
    "deletion": "a message was deleted",
    "stop": "the answer was stopped",
    "reset": "the conversation was reset",
}
OVER = "the answer ended first"
NO_ONE = "no one can be asked to approve it"
FORBIDDEN = "the configuration forbids it"
NOT_SHOWN = "it could not be shown to a person"
REPLACED = "it differs from what was approved"
DECIDER_REFUSED = "the person who allowed it may not decide that any more"
REQUESTER_REFUSED = "the person who asked may not use this any more"
TOO_LONG = "the arguments are too long to be shown to a person"


def other_person() -> str:
    """Why a click of another person has no effect."""
    return f"⚠️ You cannot decide this: {OTHER_PERSON}."


def asked_by(requester: str, approvers: Sequence[str], expires: float) -> str:
    """The line below the card: who asked, who may decide, until when."""
    people = [f"<@{user_id}>" for user_id in dict.fromkeys((requester, *approvers))]
    until = date(expires, "a day")
    return f"Asked by {people[0]} · {_either(people)} may decide until {until}"


def _either(people: Sequence[str], most: int = 6) -> str:
    if len(people) > most:
        return f"{', '.join(people[:most])} or {len(people) - most} more"
    return " or ".join(people)


def rest(count: int) -> str:
    """The note about the omitted part of long arguments."""
    return f"… {count:,} more characters"


def page(number: int, count: int) -> str:
    """The heading of one page of long arguments."""
    return f"Page {number} of {count}"


def odd_name(name: str) -> str:
    """A note about a name with letters that look like others."""
    return f"The name {name} contains letters that look like other letters."


def lookalike(name: str, others: Sequence[str]) -> str:
    """A note about a name that is easily mistaken for another one."""
    return f"Do not mistake {name} for {', '.join(others)}."


def mixed(words: Sequence[str]) -> str:
    """A note about words in the arguments that mix alphabets."""
    return f"These words mix letters of different alphabets: {', '.join(words)}."


def allowed(by: str, *, in_thread: bool) -> str:
    """The outcome on the card."""
    return f"✅ Allowed {'in this thread' if in_thread else 'once'} by <@{by}>"


def denied(by: str) -> str:
    """The outcome on the card; the reason is shown below."""
    return f"⛔ Denied by <@{by}>" if by else "⛔ Not done"


def expired() -> str:
    """The outcome on the card."""
    return "⌛ Expired: no decision came in time"


def withdrawn(reason: str) -> str:
    """The outcome on the card."""
    return f"↩️ Withdrawn: {WITHDRAWN.get(reason, OVER)}"


def answered(by: str) -> str:
    """The outcome of a form."""
    return f"✅ Answered by <@{by}>"


def declined(by: str) -> str:
    """The outcome of a form."""
    return f"⛔ Declined by <@{by}>"


def earlier(outcome: str) -> str:
    """A second decision, which has no effect."""
    return f"This was decided before. {outcome}"


def reason_for_model(words: str, *, by_person: bool) -> str:
    """The reason of a denial, for the model."""
    if not by_person:
        return words
    return f"a person refused, saying: {words!r}" if words else "a person refused"
