"""The greeting and the suggested prompts."""

PROMPTS = (
    ("What can you do?", "What can you do for me?"),
    ("Draft a message", "Help me write a short, friendly message. Ask me first what it is about."),
    ("Explain something", "Explain something to me in simple words. Ask me first what it is."),
)
"""(title, message) pairs. Slack shows at most four and sends the message when one is pressed. The
manifest includes them.
"""

GREETING = (
    "Hello! Ask me anything here: each of your messages starts its own conversation, in its "
    "thread. In channels, invite me and mention me.\n"
    "In a thread, write `stop` to stop me and `reset` to start over; `/bot-help` explains the rest."
)
