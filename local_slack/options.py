"""The options of a local Slack."""

from collections.abc import Iterable
from typing import TypedDict

from local_slack.api.web_api import Tokens
from local_slack.delivery.faults import Faults
from local_slack.workspace.clock import Clock
from local_slack.workspace.model import Json


class Options(TypedDict, total=False):
    """What `open_workspace` takes; each may be left out."""

    events_url: str | None
    """The app's request URL; None delivers through Socket Mode."""
    users: Iterable[str]
    """Names for a new workspace; all are in all channels."""
    channels: Iterable[str]
    """Names for a new workspace."""
    bot_name: str
    events: Iterable[str] | None
    """Names the app subscribed to, such as "message.im"; None: all."""
    scopes: Iterable[str] | None
    """Bot scopes that the app was granted; None: all but `chat:write.public`."""
    commands: Iterable[str] | None
    """Slash commands of the app; None: any."""
    faults: Faults | None
    clock: Clock | None
    time_factor: float
    """Scales the waits before Slack's retries (1 s, 1 min, 5 min)."""
    ack_seconds: float
    """How long Slack waits for an acknowledgement."""
    patience: float
    """Seconds that the waits for a condition last at most."""
    rate_limits: bool
    """Enforce the tiers and one post per second and channel."""
    tokens: Tokens | None
    state: Json | None
    """A `snapshot()` to continue from; users and channels come from it."""
    enterprise_id: str | None
    """The Enterprise organization of the workspace."""
    first_id: int
    """The number in the first id of a new workspace."""
