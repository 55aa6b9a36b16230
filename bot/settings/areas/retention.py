"""How long data is kept, and conversations continue."""

from pydantic import Field

from bot.settings.values import Count, Days, DaysByPlace


class RetentionSettings:
    """How long data is kept, and conversations continue."""

    bot_retention_days: Days = Field(
        30,
        ge=0,
        description="Days without a message after which a conversation is deleted, and days "
        "after which feedback is deleted; 0: never.",
    )
    bot_uninstall_days: Days = Field(
        7,
        ge=0,
        description="Days after which the data of a workspace that removed the bot is deleted.",
    )
    bot_retention_places: DaysByPlace = Field(
        {},
        description="Days for individual workspaces and channels, instead of `BOT_RETENTION_DAYS`: "
        "`T0123=7, C0456=0`; a channel's number overrides its workspace's.",
    )
    bot_rollover_messages: Count = Field(
        50,
        ge=1,
        description="Messages after which a conversation is continued in a new one with a summary.",
    )
