"""Values of variables that must fit together."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot import sealing
from bot.errors import ConfigError
from bot.settings.addresses import split_addresses
from bot.settings.values import PROTOCOLS

if TYPE_CHECKING:
    from bot.settings import Settings

PLACEHOLDER = "is still the placeholder of .env.example"


def problems_of(settings: "Settings") -> Iterator[ConfigError]:
    """Values that are valid alone but not together."""
    if settings.slack_client_id is not None:
        yield from _missing_to_install(settings)
    elif settings.slack_bot_token is None:
        yield ConfigError("SLACK_BOT_TOKEN", "is not set")
    if not settings.socket_mode and settings.slack_signing_secret is None:
        yield _not_set(settings, "SLACK_SIGNING_SECRET", "or set SLACK_APP_TOKEN for Socket Mode")
    for owner in ("person", "channel"):
        if getattr(settings, f"bot_limit_{owner}_cost") and settings.bot_prices is None:
            problem = f"is not set, and BOT_LIMIT_{owner.upper()}_COST would never be reached"
            yield ConfigError("BOT_PRICES", problem)
    if (servers := len(split_addresses(settings.redis_url))) > settings.bot_shards:
        problem = f"is {settings.bot_shards}, but REDIS_URL names {servers} servers, and "
        yield ConfigError("BOT_SHARDS", f"{problem}each needs at least one shard; choose 64")
    if settings.bot_engine not in PROTOCOLS:
        return
    if settings.openai_api_key is None and settings.openai_base_url is None:
        yield _not_set(settings, "OPENAI_API_KEY", "or set OPENAI_BASE_URL for your own server")
    if settings.bot_engine == "assistants" and settings.openai_assistant_id is None:
        yield ConfigError("OPENAI_ASSISTANT_ID", "is not set, and BOT_ENGINE is assistants")


def _missing_to_install(settings: "Settings") -> Iterator[ConfigError]:
    """The missing settings that workspaces need to install the app themselves."""
    problem = "is not set, and SLACK_CLIENT_ID is"
    for name in ("slack_client_secret", "bot_public_url", "bot_encryption_keys"):
        if getattr(settings, name) is None:
            hint = f"; {sealing.HOW_TO_GENERATE}" if name == "bot_encryption_keys" else ""
            yield ConfigError(name.upper(), problem + hint)


def _not_set(settings: "Settings", variable: str, instead: str) -> ConfigError:
    state = PLACEHOLDER if variable.lower() in settings.placeholders else "is not set"
    return ConfigError(variable, f"{state} ({instead})")
