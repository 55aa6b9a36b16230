"""What counts as a failure, and how long outages are waited for."""

from pydantic import Field

from bot.settings.values import Count, Seconds


class FailureSettings:
    """What counts as a failure, and how long outages are waited for."""

    bot_attempts: Count = Field(
        5, ge=1, description="Failures after which a message becomes a dead letter."
    )
    bot_outage_patience: Seconds = Field(
        21600,
        ge=0,
        description="Seconds that a message waits for an AI server or a Slack that is down.",
    )
    bot_stall_log: Seconds = Field(
        10, gt=0, description="Seconds of a blocked event loop after which its stack is logged."
    )
    bot_stall_exit: Seconds = Field(
        30, gt=0, description="Seconds of a blocked event loop after which the process exits."
    )
    bot_slow_answer: Seconds = Field(
        120, gt=0, description="Seconds after which an answer is logged as `slow_answer`."
    )
