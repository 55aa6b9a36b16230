"""The settings of `bot try`: the person's settings for the bot, without those of a deployment.

It always uses the local Slack and its own Redis, whatever the environment and `.env` say.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
from dotenv import dotenv_values
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from bot.settings import Settings, load, read
from bot.settings.values import PROTOCOLS, without_password
from local_slack.local_slack import LocalSlack

OF_A_DEPLOYMENT = (
    *("slack_", "redis_", "bot_redis_", "port", "bot_host", "bot_public_", "bot_health_"),
    *("bot_metrics_", "otel_", "bot_admins", "bot_allow_", "bot_deny_"),
)
"""Prefixes of the settings that describe a deployment: its address, its stores, its users."""
LISTING_SECONDS = 10.0
NOT_FOR_CHAT = ("embed", "rerank", "whisper", "tts", "moderation", "dall-e", "image")


@dataclass(frozen=True, slots=True)
class Config:
    """Settings for the bot, and notes about them for the person."""

    settings: Settings
    notes: tuple[str, ...]


def state_directory() -> Path:
    """The folder of all state: BOT_STATE_DIR."""
    return _read({}).bot_state_dir


def has_own_tools() -> bool:
    """Whether the person has set BOT_TOOLS."""
    return _read({}).bot_tools is not None


async def configure(
    slack: LocalSlack,
    redis_url: str,
    tools: Path | None = None,
    of_app: Mapping[str, Any] = MappingProxyType({}),
) -> Config:
    """The settings that point a bot to this Slack and this Redis.

    `tools` is for BOT_TOOLS; `of_app` are further settings of the app.
    """
    given: dict[str, Any] = {
        "slack_bot_token": slack.bot_token,
        "slack_app_token": slack.app_token,
        "slack_signing_secret": slack.signing_secret,
        "slack_api_url": slack.api_url,
        "redis_url": redis_url,
        "bot_shards": 1,
        "bot_host": "127.0.0.1",
        "port": 0,
    }
    given |= of_app
    given |= {"bot_tools": tools} if tools else {}
    own = _read(given)
    notes = list(_ignored(own))
    if not _has_model(own):
        given["bot_engine"] = "echo"
    elif own.openai_base_url and not own.model_fields_set & {"openai_model", "openai_assistant_id"}:
        model, note = await _choose_model(own)
        notes.append(note)
        if model:
            given["openai_model"] = model
    return Config(load(**_defaults() | given), tuple(notes))


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a process with these settings, whatever `.env` says."""
    names = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in names}
    return kept | {
        name.upper(): _as_text(value)
        for name in settings.model_fields_set
        if (value := getattr(settings, name)) is not None
    }


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return str(value)


def _read(given: dict[str, Any]) -> Settings:
    return read(**_defaults() | given)


def _defaults() -> dict[str, Any]:
    """The default of every deployment setting, so that no other value is read."""
    defaults: dict[str, Any] = {"slack_bot_token": "xoxb-local-slack"}
    for name, field in Settings.model_fields.items():
        if name.startswith(OF_A_DEPLOYMENT) and field.default is not PydanticUndefined:
            defaults[name] = field.default
    return defaults


def _ignored(own: Settings) -> Iterator[str]:
    """The names of variables that are set but not used."""
    given = dotenv_values(".env") | os.environ
    known = {name for name in Settings.model_fields if name.startswith(OF_A_DEPLOYMENT)}
    if unused := sorted(name for name, value in given.items() if value and name.lower() in known):
        yield f"Of a deployment, so not used here: {', '.join(unused)}"
    if own.placeholders:
        names = ", ".join(sorted(name.upper() for name in own.placeholders))
        yield f"Still the placeholder of .env.example, so not used: {names}"


def _has_model(own: Settings) -> bool:
    """Whether an engine other than echo was chosen or is available."""
    if "bot_engine" in own.model_fields_set:
        return True
    return own.openai_api_key is not None or own.openai_base_url is not None


async def _choose_model(own: Settings) -> tuple[str, str]:
    """The first model that the server lists ("" for none), and a note about it."""
    try:
        names = await _list_models(own)
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
        names = []
    names = [name for name in names if not any(word in name.lower() for word in NOT_FOR_CHAT)]
    if not names:
        server = without_password(str(own.openai_base_url))
        return "", (
            f"{server} does not list its models: set OPENAI_MODEL if {own.openai_model} is none of "
            "them."
        )
    others = ", ".join(names[1:6])
    return names[0], f"OPENAI_MODEL is not set: using {names[0]}" + (
        f"; the server also has {others}." if others else "."
    )


async def _list_models(own: Settings) -> list[str]:
    key = own.openai_api_key
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=LISTING_SECONDS)
    async with (
        aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
        session.get(f"{str(own.openai_base_url).rstrip('/')}/models") as response,
    ):
        response.raise_for_status()
        listed = json.loads(await response.read())
    ids = [model.get("id") for model in listed["data"] if isinstance(model, dict)]
    return [name for name in ids if isinstance(name, str) and name]


def describe_engine(settings: Settings) -> str:
    """One line that says which model answers."""
    if settings.bot_engine == "echo":
        return (
            "The echo engine answers: no AI is behind it. Set OPENAI_API_KEY, or OPENAI_BASE_URL "
            "for a server of your own, to talk to a model."
        )
    if settings.bot_engine not in PROTOCOLS:
        return f"The {settings.bot_engine} engine answers, from a plug-in."
    server = without_password(settings.openai_base_url or "OpenAI")
    return f"{settings.openai_model} answers, by the {settings.bot_engine} engine at {server}."
