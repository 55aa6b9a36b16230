"""The Web API, one module per family. METHODS is the index: name -> handler, scopes, tier."""

from local_slack.api.methods import (
    agents,
    apps,
    chat,
    conversations,
    files,
    reactions,
    search,
    streams,
    usergroups,
    users,
    views,
)
from local_slack.api.methods.call import Method

METHODS: dict[str, Method] = {
    **apps.METHODS,
    **users.METHODS,
    **usergroups.METHODS,
    **conversations.METHODS,
    **chat.METHODS,
    **streams.METHODS,
    **reactions.METHODS,
    **views.METHODS,
    **agents.METHODS,
    **files.METHODS,
    **search.METHODS,
}

__all__ = ["METHODS"]
