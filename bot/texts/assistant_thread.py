"""What a person sees who opens the bot's messages for the first time."""

PROMPTS = (
    ("What can you do?", "What can you do for me?"),
    ("Draft a message", "Help me write a short, friendly message. Ask me first what it is about."),
    ("Explain something", "Explain something to me in simple words. Ask me first what it is."),
)
"""(title, message); Slack shows four at most, and sends the message as it is when one is pressed.
The manifest has them, too.
"""

GREETING = (
    "Hello! Ask me anything here: each message of yours opens a conversation of its own, in its "
    "thread. In channels, invite me and mention me.\n"
    "In a thread, write `stop` to stop me and `reset` to start afresh; `/bot-help` says the rest."
)
