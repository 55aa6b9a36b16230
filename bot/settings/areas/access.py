"""Who may use the bot, and where."""

from pydantic import Field

from bot.settings.values import ChannelIds, PersonIds, TeamIds


class AccessSettings:
    """Who may use the bot, and where."""

    bot_admins: PersonIds = Field(
        frozenset(),
        description="Admins of this bot: user ids (`U…`), separated by commas. Refusals name them.",
    )
    bot_allow_teams: TeamIds = Field(
        frozenset(), description="Workspaces (`T…`) whose people may use the bot; empty: all."
    )
    bot_allow_channels: ChannelIds = Field(
        frozenset(), description="Channels (`C…`) in which the bot answers; empty: all."
    )
    bot_allow_people: PersonIds = Field(
        frozenset(), description="People (`U…`) who may use the bot; empty: all."
    )
    bot_deny_teams: TeamIds = Field(
        frozenset(), description="Workspaces whose people may not use the bot."
    )
    bot_deny_channels: ChannelIds = Field(
        frozenset(), description="Channels in which the bot does not answer."
    )
    bot_deny_people: PersonIds = Field(frozenset(), description="People who may not use the bot.")
    bot_allow_guests: bool = Field(False, description="Whether guests may use the bot.")
    bot_allow_outsiders: bool = Field(
        False, description="Whether people of other workspaces (Slack Connect) may use the bot."
    )
