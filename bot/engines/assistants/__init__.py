"""The engine for servers that speak the Assistants protocol: threads, messages, runs.

OpenAI itself has retired it (August 2026); other servers still support it. Only in this folder
`thread` means the server's thread, which belongs to a Slack thread.
"""

from bot.engines.assistants.engine import AssistantsEngine, open_assistants

__all__ = ["AssistantsEngine", "open_assistants"]
