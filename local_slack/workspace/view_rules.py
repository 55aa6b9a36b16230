"""Validation of views: modals and App Homes."""

import json
from typing import Any

from local_slack.workspace.blocks import VIEW_BLOCKS, check_all, refusal, text_of, with_ids
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json

MAX_BLOCKS = 100
MAX_BYTES = 250_000
MAX_PRIVATE_METADATA = 3_000


def check_view(view: Any) -> Json:
    """Check a modal or App Home as views.open does; raises SlackError."""
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        raise refusal("invalid_arguments", ["[ERROR] invalid view: unsupported type"])
    if len(json.dumps(view)) > MAX_BYTES:
        raise SlackError("view_too_large")
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or len(blocks) > MAX_BLOCKS:
        raise refusal("invalid_arguments", ["[ERROR] must provide between 0 and 100 blocks"])
    if view["type"] == "modal":
        _check_modal(view, blocks)
    check_all(blocks, VIEW_BLOCKS, "invalid_arguments")
    return view | {"blocks": with_ids(blocks)}


def _check_modal(view: Json, blocks: list[Json]) -> None:
    for name, required in (("title", True), ("submit", False), ("close", False)):
        text = view.get(name)
        if (text is None and required) or (text is not None and len(text_of(text)) > 24):
            raise refusal("invalid_arguments", [f"[ERROR] `{name}`: 1 to 24 characters"])
    if any(block.get("type") == "input" for block in blocks) and not view.get("submit"):
        raise refusal("invalid_arguments", ["[ERROR] missing `submit` with input blocks"])
    if len(view.get("private_metadata") or "") > MAX_PRIVATE_METADATA:
        raise refusal("invalid_arguments", ["[ERROR] `private_metadata`: too long"])
