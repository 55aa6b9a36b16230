"""`bot why` for an idle thread: what became of a message."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.models import Record
from bot.store.inbox_part import SEEN_SECONDS
from bot.store.inspection import Findings
from bot.texts.answers import ADMIN, STOPPED, WORDS, reason_of

ROOT_WANTED = "if it is a reply, copy the link of the thread's first message"
MENTION = "mention the bot, or see BOT_FOLLOW_UPS and the channel's settings on its Home tab"
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The state of a thread, the reason, and the advice."""

    where: str
    why: str
    do: str


def explain_idle(found: Findings) -> Diagnosis:
    """The outcome of the message, or of the newest one if the link is that of the thread."""
    why, do = _explain(found)
    return Diagnosis("has nothing to do", why, do)


def _explain(found: Findings) -> tuple[str, str]:
    asked = [line.ts for line in found.history if line.role == "user"]
    if found.ts in found.overheard:
        return "this message was read, but is not for the bot", MENTION
    if found.is_deleted or _lost_its_question(found.history, found.ts):
        return _explain_deleted(found)
    if found.ts in asked:
        return _explain_asked(found, found.ts)
    if found.was_seen:
        return _explain_unrecorded(found)
    if found.ts not in ("", found.thread.thread_ts):
        return _explain_unseen(found)
    if found.overheard and max(found.overheard) > max(asked, default=""):
        return "its newest messages were read, but are not for the bot", MENTION
    if asked:
        why, do = _explain_asked(found, asked[-1])
        return f"of its newest question, {asked[-1]}: {why}", do
    return _explain_unrecorded(found)


def _explain_deleted(found: Findings) -> tuple[str, str]:
    if any(line.role == "assistant" and line.ts == found.ts for line in found.history):
        return "its author deleted this message after it was answered", NOTHING
    why = "its author deleted this message; what is deleted while it waits gets no answer"
    return why, "nothing; to be answered, it has to be sent again"


def _lost_its_question(history: Sequence[Record], ts: str) -> bool:
    """Whether the record has only the answer: its author deleted the question. Of the oldest answer
    the question may be missing because the record is full."""
    lines = [line.role for line in history[1:] if line.ts == ts]
    return lines == ["assistant"] and history[0].ts != ts


def _explain_asked(found: Findings, ts: str) -> tuple[str, str]:
    at = next(i for i, line in enumerate(found.history) if (line.role, line.ts) == ("user", ts))
    answers = [line.text for line in found.history[at:] if line.role == "assistant"]
    text = answers[0] if answers else ""
    kept = ", and goes to the AI server with the next question" if ts in found.owed else ""
    if reason := reason_of(text):
        why = f"it could not be answered ({reason}): the thread got an apology{kept}"
        words, log = WORDS.get(reason, ""), f"search the log for {found.thread.key}: turn_answered"
        if words.endswith(ADMIN):
            return why, f"remove the cause, which `bot doctor` names, and ask again; {log}"
        return why, f"ask again, as the apology says; {log} has the run"
    if text.endswith(STOPPED):
        return f"its answer was stopped by a person{kept}", "nothing; ask again for a whole answer"
    return (
        "it is in the conversation, and was answered",
        f"nothing; search the log for {found.thread.key}: turn_answered",
    )


def _explain_unrecorded(found: Findings) -> tuple[str, str]:
    """A message that arrived, but of which nothing was kept."""
    log = f"search the log for {found.thread.key}: turn_answered, message_withdrawn"
    if found.author in found.refused:
        why = f"{found.author}, its author, may not use the bot here, and was informed"
        return why, "the audit log has the line `refusal` with the reason"
    if not found.conversation and not found.history:
        why = (
            "it has no conversation: it was refused, ignored, deleted or reset, or this is a reply"
        )
        return why, f"{ROOT_WANTED}; {log}"
    why = (
        "it is not in the conversation: it was a command, refused by a limit, or removed "
        "(`/forget-me`, `bot dead drop`)"
    )
    return why, f"{log}; the audit log has refusals"


def _explain_unseen(found: Findings) -> tuple[str, str]:
    try:
        is_old = found.now - float(found.ts) > SEEN_SECONDS
    except ValueError:
        is_old = False
    if is_old:
        why = "this message is older than 26 hours, and the conversation does not have it"
        return why, f"search the log for {found.thread.key}"
    why = "this message did not arrive, or the thread was full"
    return why, "`bot doctor` says when the last event came; search the log for inbox_full"


def ago(seconds: float) -> str:
    """A duration in words."""
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
