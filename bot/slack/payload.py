"""The type of what Slack sends."""

from collections.abc import Mapping
from typing import Any

Payload = Mapping[str, Any]
"""An event, an interaction, a message or a view.

`bot.slack.shapes` says which fields are certain."""
