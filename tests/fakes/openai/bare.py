"""Assistants objects in the form of open-assistant-api, which clients must accept, too."""

from typing import Any

from aiohttp import web

from .state import State


def reply(state: State, shown: Any) -> web.Response:
    """The answer of an Assistants route: as OpenAI's, unless the options say `bare`."""
    return web.json_response(_bare(shown) if state.options.bare else shown)


def _bare(node: Any) -> Any:
    """`metadata` is called `metadata_`, and times are floats."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        "metadata_" if key == "metadata" else key: float(item)
        if key.endswith("_at") and isinstance(item, int)
        else _bare(item)
        for key, item in node.items()
    }
