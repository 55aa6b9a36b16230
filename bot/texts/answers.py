"""The words for turns without a complete answer: short, honest, with what to do next."""

from datetime import UTC, datetime

from bot.errors import RunFailed
from bot.models import Answer

AGAIN = "Please ask again in a moment."
ADMIN = "Please tell the person who runs this bot; the log has the details."

WORDS = {
    "deadline": f"This took too long, so I stopped working on it. {AGAIN}",
    "expired": f"The AI service gave up on this one before it was done. {AGAIN}",
    "max_output_tokens": "The answer grew longer than I am allowed to write. "
    "Ask me to go on, or for a shorter answer.",
    "max_completion_tokens": "The answer grew longer than I am allowed to write. "
    "Ask me to go on, or for a shorter answer.",
    "max_prompt_tokens": "This conversation has grown too long. Write `reset` to start afresh.",
    "context_length_exceeded": "This conversation has grown too long for me. "
    "Write `reset` to start afresh, or send less at once.",
    "content_filter": "The AI service's content filter stopped this answer. "
    "Try to put the question differently.",
    "invalid_prompt": "The AI service refused this question. Try to put it differently.",
    "insufficient_quota": f"The AI service's budget for this bot is used up. {ADMIN}",
    "rate_limit_exceeded": f"The AI service is overloaded. {AGAIN}",
    "server_error": f"The AI service had a fault of its own. {AGAIN}",
    "authentication": f"The AI service does not accept this bot's key. {ADMIN}",
    "permission": f"The AI service does not let this bot use that model. {ADMIN}",
    "model_not_found": f"The model this bot is set to use does not exist. {ADMIN}",
    "endpoint_not_found": f"The AI service does not know the address that this bot uses. {ADMIN}",
    "unsupported_parameter": f"The AI service does not take one of this bot's settings. {ADMIN}",
    "data_retention": f"The AI service may not keep data for this bot, which it has to. {ADMIN}",
    "answer_too_large": "The AI service sent more than any answer can hold, "
    "so I stopped reading. Ask for a shorter answer.",
    "empty": f"The AI service ended without a word. {AGAIN}",
    "requires_action": f"The assistant wanted a tool that I do not have. {ADMIN}",
    "conversation_gone": f"The AI service lost our conversation, twice. {AGAIN}",
    "unavailable": "The AI service has been unavailable for too long. Your message is kept: "
    "I will answer it once the service is back.",
    "dead": "I tried several times and could not answer this. Your message is kept, "
    "and the person who runs this bot can have me try again.",
}
AI_UNAVAILABLE = (
    "⏳ The AI service is unavailable right now. "
    "I keep trying and will answer as soon as it is back."
)
"""Posted while a question waits, and deleted once it is answered."""
IMAGE = "The AI service could not make sense of an image. Try another format or a smaller one."
OTHERWISE = f"Something went wrong on the way to the answer. {AGAIN}"

FRESH_START = "Done: I have forgotten this conversation. Your next message starts afresh."
NOTHING_TO_FORGET = (
    "There is nothing to forget here yet: every new thread starts afresh anyway. "
    "For an older conversation, write `reset` in its thread, or use `/reset`."
)
HERE = "Here it is:"
REST_ATTACHED = "\n\n_The answer is too long to be shown here. All of it is in the file below._"
REST_LEFT_OUT = "\n\n_The answer is too long. The rest of it is not shown._"
"""What is said with files where the model says nothing."""
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
"""What the model is asked when a person presses "Answer again"."""


def apology(error: RunFailed) -> str:
    """Markdown for Slack: what had been written so far, and what happened to the rest."""
    otherwise = IMAGE if "image" in error.reason else OTHERWISE
    words = f"⚠️ {WORDS.get(error.reason, otherwise)}"
    return f"{error.text}\n\n{words}" if error.text else words


def stopped(text: str) -> str:
    """The text so far, marked as stopped."""
    return f"{text}\n\n{STOPPED}" if text else STOPPED


def with_note(answer: Answer) -> str:
    """The whole of what is posted: the answer, and below it what is to be said besides."""
    return "\n\n".join(part for part in (answer.text, answer.note) if part)


def fresh_start(last_used: float | None) -> str:
    """That the conversation was archived; `last_used` in epoch seconds, None: it was not."""
    if last_used is None:
        return ""
    day = datetime.fromtimestamp(last_used, UTC).strftime("%d %B %Y")
    return f"ℹ️ I no longer have what was said here until {day}: this is a fresh start."
