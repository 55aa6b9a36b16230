"""What is answered, and how answers look."""

from pydantic import Field

from bot.models import FollowUps
from bot.settings.values import Count, Seconds


class AnswerSettings:
    """What is answered, and how answers look."""

    bot_streaming: bool = Field(
        True, description="Show answers while they are written, if the AI server can stream."
    )
    bot_stream_channels: bool = Field(
        False,
        description="Stream answers in channels, too: Slack then shows them live to the asker "
        "only. Off: they are posted and edited there.",
    )
    bot_answer_messages: Count = Field(
        10, ge=1, description="Maximum messages per answer; a longer one is attached as a file."
    )
    bot_follow_ups: FollowUps = Field(
        "one_person",
        description="Replies answered without a mention, unless the channel has its own setting: "
        "`always`, `one_person` (until another person writes), `mentions` (none).",
    )
    bot_answer_apps: bool = Field(
        False,
        description="Answer workflows, and what people post through other apps in their own name, "
        "when they mention the bot; at most five times an hour in one thread.",
    )
    bot_command_prefix: str = Field(
        "",
        pattern=r"^[a-z0-9_-]{0,18}$",
        description="First part of the commands' names, as in the manifest (`bot manifest "
        "--prefix`): for a second app in one workspace.",
    )
    bot_feedback: bool = Field(
        True, description="Put 👍, 👎 and *Answer again* under the last answer of a thread."
    )
    bot_reasoning: bool = Field(
        False,
        description="Show the beginning of the reasoning that self-hosted models write into their "
        "answers, as a collapsed step.",
    )
    bot_gather_seconds: Seconds = Field(
        0.0,
        ge=0,
        description="Seconds that a reply waits for others that were sent at the same time. The "
        "order needs no wait: see docs/design.md.",
    )
