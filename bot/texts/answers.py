"""Texts of turns without a complete answer: short, honest, with what to do next."""

from datetime import UTC, datetime

from bot.errors import RunFailed
from bot.models import Answer
from bot.texts import dlp

APOLOGY = "⚠️ "
"""What an apology begins with."""
AGAIN = "Please ask again in a moment."
ADMIN = "Please tell the person who runs this bot; the log has the details."

WORDS = {
    "deadline": f"This took too long, so I stopped working on it. {AGAIN}",
    "expired": f"The AI service stopped before this answer was complete. {AGAIN}",
    "max_output_tokens": "The answer reached the maximum length. "
    "Ask me to continue, or ask for a shorter answer.",
    "max_completion_tokens": "The answer reached the maximum length. "
    "Ask me to continue, or ask for a shorter answer.",
    "max_prompt_tokens": "This conversation has grown too long. Write `reset` to start over.",
    "context_length_exceeded": "This conversation has grown too long for me. "
    "Write `reset` to start over, or send less at once.",
    "content_filter": "The AI service's content filter stopped this answer. "
    "Try to rephrase the question.",
    "invalid_prompt": "The AI service refused this question. Try to rephrase it.",
    "insufficient_quota": f"The AI service's budget for this bot is used up. {ADMIN}",
    "rate_limit_exceeded": f"The AI service is overloaded. {AGAIN}",
    "server_error": f"The AI service had an internal error. {AGAIN}",
    "stream_cut": f"The AI service broke the connection in the middle of the answer. {AGAIN}",
    "run_lost": f"The AI service lost this answer. {AGAIN}",
    "run_not_found": f"The AI service lost this answer. {AGAIN}",
    "authentication": f"The AI service does not accept this bot's key. {ADMIN}",
    "permission": f"The AI service does not allow this bot to use that model. {ADMIN}",
    "model_not_found": f"The model this bot is set to use does not exist. {ADMIN}",
    "endpoint_not_found": f"The AI service does not know the address that this bot uses. {ADMIN}",
    "unsupported_parameter": f"The AI service does not accept one of this bot's settings. {ADMIN}",
    "data_retention": "The AI service is not allowed to store data for this bot, "
    f"which is required. {ADMIN}",
    "answer_too_large": "The AI service sent more than any answer can hold, "
    "so I stopped reading. Ask for a shorter answer.",
    "empty": f"The AI service returned an empty answer. {AGAIN}",
    "requires_action": f"The assistant asked for a tool that I do not have. {ADMIN}",
    "conversation_gone": f"The AI service lost our conversation, twice. {AGAIN}",
    "unavailable": "The AI service has been unavailable for too long. Your message is kept: "
    "I will answer it once the service is back.",
    "no_ai_server": "The server at the AI service's address is not an AI service. "
    f"Your message is kept. {ADMIN}",
    "dead": "I tried several times and could not answer this. Your message is kept, "
    "and the person who runs this bot can have me try again.",
}
AI_UNAVAILABLE = (
    "⏳ The AI service is unavailable right now. "
    "I keep trying and will answer as soon as it is back."
)
UNAVAILABLE = {"ai": AI_UNAVAILABLE, "dlp": dlp.UNAVAILABLE}
"""Posted while a question waits for a dependency, and deleted once it is answered."""
IMAGE = "The AI service could not make sense of an image. Try another format or a smaller one."
OTHERWISE = f"Something went wrong while I was answering. {AGAIN}"

FRESH_START = "Done: I have forgotten this conversation. Your next message starts a new one."
NOTHING_TO_FORGET = (
    "There is nothing to forget here yet: every thread starts a new conversation. "
    "For an older conversation, write `reset` in its thread, or use `/reset`."
)
HERE = "Here it is:"
REST_ATTACHED = "\n\n_The answer is too long to be shown here. The file below has all of it._"
REST_LEFT_OUT = "\n\n_The answer is too long. The rest of it is not shown._"
"""The text above files if the model writes none."""
STOPPED = "_Stopped._"
INBOX_FULL = (
    "Too many messages are waiting in this thread, so I did not keep your last one. "
    "Please send it again once I have answered."
)
NOTHING_TO_STOP = "There is nothing to stop: I am not answering anything here."
NOTHING_TO_ANSWER = (
    "There is no question of yours here that I could answer again. Please ask it again."
)
AGAIN_PLEASE = "Please answer my last question once more, in a different and better way."
"""The prompt for the model when a person presses "Answer again"."""


def apology(error: RunFailed) -> str:
    """Markdown for Slack: the text so far, and what happened to the rest."""
    if error.reason == dlp.REFUSED:
        return dlp.refused(error.detail)
    otherwise = IMAGE if "image" in error.reason else OTHERWISE
    words = f"{APOLOGY}{WORDS.get(error.reason, otherwise)}"
    return f"{error.text}\n\n{words}" if error.text else words


def reason_of(text: str) -> str:
    """The reason of the apology that a text ends with; "" if it ends with none."""
    if APOLOGY not in text:
        return ""
    last = text[text.rfind(APOLOGY) :]
    if last.startswith(dlp.NOT_SENT):
        return dlp.REFUSED
    known = WORDS | {"image": IMAGE, "other": OTHERWISE}
    return next((reason for reason, words in known.items() if last == APOLOGY + words), "")


def stopped(text: str) -> str:
    """The text so far, marked as stopped."""
    return f"{text}\n\n{STOPPED}" if text else STOPPED


def with_note(answer: Answer) -> str:
    """The complete text to post: the answer with its note below."""
    return "\n\n".join(part for part in (answer.text, answer.note) if part)


def fresh_start(last_used: float | None) -> str:
    """A note that the conversation was archived; `last_used` in epoch seconds, None if it was
    not."""
    if last_used is None:
        return ""
    day = datetime.fromtimestamp(last_used, UTC).strftime("%d %B %Y")
    return f"ℹ️ I no longer have the conversation here up to {day}: this is a new one."
