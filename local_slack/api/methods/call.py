"""The arguments of every Web API method, and a row of the table of methods."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from local_slack.api.arguments import Arguments
from local_slack.delivery.interactions import Interactions
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, ChannelType, Json, Message
from local_slack.workspace.workspace import Workspace

CHANNEL_SCOPES: dict[ChannelType, str] = {
    "channel": "channels",
    "group": "groups",
    "im": "im",
    "mpim": "mpim",
}
Tier = Literal[1, 2, 3, 4, "special"]


@dataclass
class Call:
    """One call: its arguments and the workspace. Methods return Slack's response."""

    workspace: Workspace
    interactions: Interactions
    args: Arguments
    scopes: frozenset[str] | None
    events: frozenset[str] | None
    events_url: str | None
    base_url: str
    issue_ticket: Callable[[], str]
    signing_secret: str
    warnings: list[str] = field(default_factory=list)

    @property
    def bot_id(self) -> str:
        return self.workspace.bot.id

    def has_scope(self, scope: str) -> bool:
        """Unknown scopes (None) mean all except `chat:write.public`: the stricter reading."""
        if self.scopes is None:
            return scope != "chat:write.public"
        return scope in self.scopes

    def demand_scope(self, *scopes: str) -> None:
        """Require one of the scopes."""
        if not any(self.has_scope(scope) for scope in scopes):
            provided = ",".join(sorted(self.scopes or ()))
            raise SlackError("missing_scope", needed=",".join(scopes), provided=provided)

    def demand_channel_scope(self, channel: Channel, action: str) -> None:
        """Require a scope such as `channels:history`, by the channel's kind."""
        self.demand_scope(f"{CHANNEL_SCOPES[channel.type]}:{action}")

    def visible_channel(self, name: str = "channel") -> Channel:
        """The channel of an argument; channels that the bot cannot see do not exist for it."""
        value = self.args.get(name)
        if not value:
            raise SlackError("channel_not_found")
        channel = self.workspace.get_channel(value)
        if channel.type != "channel" and self.bot_id not in channel.members:
            raise SlackError("channel_not_found")
        return channel

    def own_channel(self, name: str = "channel") -> Channel:
        """A visible channel of which the bot is a member."""
        channel = self.visible_channel(name)
        if self.bot_id not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def message(self, channel: Channel, name: str = "ts") -> Message:
        return self.workspace.get_message(channel.id, self.args.require(name))


@dataclass(frozen=True)
class Method:
    """A row of the table. `scopes`: one of them is required; methods that depend on the kind of
    channel check it themselves."""

    run: Callable[[Call], Json]
    tier: Tier
    scopes: tuple[str, ...] = ()
    token: Literal["bot", "app", "config", "any"] = "bot"
