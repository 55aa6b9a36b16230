"""The Web API, one module per family. METHODS is the index: name -> handler, scopes, tier."""

from bot.playground.methods import (
    agents,
    apps,
    chat,
    conversations,
    files,
    reactions,
    streams,
    users,
    views,
)
from bot.playground.methods.call import Method

METHODS: dict[str, Method] = {
    **apps.METHODS,
    **users.METHODS,
    **conversations.METHODS,
    **chat.METHODS,
    **streams.METHODS,
    **reactions.METHODS,
    **views.METHODS,
    **agents.METHODS,
    **files.METHODS,
}

__all__ = ["METHODS"]
