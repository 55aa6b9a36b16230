"""Prices of models, from a TOML file: US dollars for a million tokens.

[gpt-6-luna]
input = 0.10
cached = 0.01   # where it is missing: as input
output = 0.50
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bot.errors import ConfigError
from bot.models import Usage

HIGHEST = 1_000_000
"""The highest price: a dollar a token. A higher one is a typing error, and its costs could not be
counted."""


class Price(BaseModel, frozen=True, extra="forbid"):
    """The price of a model. A dollar per million tokens is a microdollar per token."""

    input: float = Field(ge=0, le=HIGHEST)
    output: float = Field(ge=0, le=HIGHEST)
    cached: float | None = Field(None, ge=0, le=HIGHEST)


_FILE: TypeAdapter[dict[str, Price]] = TypeAdapter(dict[str, Price])


def load_prices(path: Path | None) -> Mapping[str, Price]:
    """Read the file; without one, no price is known. Raises ConfigError."""
    if path is None:
        return {}
    try:
        return _FILE.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ConfigError("BOT_PRICES", f"{path}: {where}: {error.errors()[0]['msg']}") from None
    except (OSError, ValueError) as error:
        raise ConfigError("BOT_PRICES", f"{path} cannot be read: {error}") from None


def microdollars(prices: Mapping[str, Price], model: str, usage: Usage) -> int | None:
    """The cost of a run; None if the model's price is unknown."""
    price = find_price(prices, model)
    if price is None:
        return None
    cached = price.input if price.cached is None else price.cached
    fresh = max(0, usage.input_tokens - usage.cached_tokens)
    return round(
        fresh * price.input + usage.cached_tokens * cached + usage.output_tokens * price.output
    )


def find_price(prices: Mapping[str, Price], model: str) -> Price | None:
    """The price of a model, if known.

    A dated name (`gpt-6-luna-2026-09-22`) has the price of the longest name it begins with.
    """
    named = [name for name in prices if model == name or model.startswith(f"{name}-")]
    return prices[max(named, key=len)] if named else None
