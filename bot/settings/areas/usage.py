"""Prices, and limits of usage."""

from pathlib import Path

from pydantic import Field

from bot.settings.values import Count, Dollars


class UsageSettings:
    """Prices, and limits of usage."""

    bot_prices: Path | None = Field(
        None, description="TOML file with the prices of models; see `examples/prices.toml`."
    )
    bot_limit_person_requests: Count | None = Field(
        None, ge=1, description="Maximum requests per person and minute."
    )
    bot_limit_person_tokens: Count | None = Field(
        None, ge=1, description="Maximum tokens per person and day (UTC)."
    )
    bot_limit_person_cost: Dollars | None = Field(
        None, gt=0, description="Maximum US dollars per person and month; needs `BOT_PRICES`."
    )
    bot_limit_channel_requests: Count | None = Field(
        None, ge=1, description="Maximum requests per channel and minute."
    )
    bot_limit_channel_tokens: Count | None = Field(
        None, ge=1, description="Maximum tokens per channel and day (UTC)."
    )
    bot_limit_channel_cost: Dollars | None = Field(
        None, gt=0, description="Maximum US dollars per channel and month; needs `BOT_PRICES`."
    )
