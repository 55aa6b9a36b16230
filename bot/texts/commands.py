"""Slash commands and the message shortcut: their descriptions and answers."""

import re

RESET = "Forget one of your conversations and start over"
CONVERSATIONS = "Your conversations with the assistant"
CONVERSATIONS_HINT = "[words]"
FORGET_ME = "Delete everything the assistant stores about you"
HELP = "What the assistant can do"
SHORTCUT = "Reset conversation"
SHORTCUT_DESCRIPTION = "Forget this thread and start over"

HELP_HEADING = "What I can do"
HELP_TEXT = """\
• *Ask*: mention me in a channel, or write to me directly; I answer in the thread. Mentioned in \
the middle of a thread, I read what was said before.
• *Continue*: every thread is one conversation. Just write, and mention me again once others \
join in.
• *Files*: attach images, PDF, documents, text or code, and I read them.
• *Stop*: write `stop`, or press Stop. Edit your question, and I offer to answer it again; delete \
a message, and I forget it.
• *Start over*: write `reset` in the thread, choose _Reset conversation_ in the menu of one of \
its messages, or use `/reset`.
• *Manage your data*: `/conversations` finds, resets and exports your conversations, `/usage` \
shows your usage, `/forget-me` deletes everything that I store about you."""

RESET_NONE = (
    "You have no conversation with me here yet. Inside a thread, write `reset`, or choose "
    "_Reset conversation_ in the menu of one of its messages."
)
RESET_WHICH = "Which conversation should I reset?"
RESET_DONE = (
    "Done: I have reset that conversation. The next message in its thread starts a new one."
)
RESET_NOT_OURS = "There is no conversation with me in this thread."

NONE = "You have no conversation with me yet. Mention me in a channel, or write to me directly."
NONE_SUCH = "None of your conversations contains these words."
RESET_ALL = "Reset all"
RESET_ALL_CONFIRM = (
    "I will forget your conversations; those with other people stay, unless you started them. "
    "The threads stay in Slack; the next message in each starts a new conversation."
)
EXPORT = "Export"

FORGET_ME_TEXT = (
    "I will delete your conversations here and on the AI server, remove your messages from those "
    "with other people, delete your feedback on answers, remove your name from the usage counts, "
    "and disconnect your accounts at other services. What you wrote in Slack stays in Slack. This "
    "cannot be undone."
)
FORGET_ME_BUTTON = "Forget me"
EXPORT_FIRST = "Export first"


def with_prefix(text: str, prefix: str) -> str:
    """One of our texts, with the names that the commands have in this app."""
    return re.sub(r"`/(?=[a-z-]+`)", f"`/{prefix}", text) if prefix else text


def conversations(words: str) -> str:
    """The heading of a person's conversations, or of those that contain some words."""
    return "Your conversations" + (f" with “{words}”" if words else "")
