"""Facts of this installation for a bug report: versions and choices, no names and no secrets."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bot import __version__, settings
from bot.errors import ConfigError

PACKAGES = ("slack-bolt", "slack-sdk", "openai", "redis", "aiohttp", "pydantic")
CHOICES = ("bot_engine", "bot_streaming", "bot_stream_channels", "bot_follow_ups")


def describe(env_file: Path | None) -> dict[str, str]:
    """Names and values, in display order."""
    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    facts = {
        "threadbot": f"{__version__} in {'a checkout' if _is_checkout() else 'site-packages'}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.platform()}, {'container' if _is_container() else 'no container'}",
        "packages": packages,
    }
    try:
        loaded = settings.read(env_file)
    except ConfigError:
        return facts | {"settings": "cannot be read"}
    names = sorted(name.upper() for name in loaded.model_fields_set)
    server = "OpenAI" if loaded.openai_base_url is None else "another server"
    choices = ", ".join(f"{name.upper()}={getattr(loaded, name)}" for name in CHOICES)
    return facts | {
        "events": "Socket Mode" if loaded.socket_mode else "HTTP",
        "ai server": f"{server}, model {loaded.openai_model}",
        "choices": choices,
        "variables set": ", ".join(names),
    }


def render(facts: dict[str, str]) -> str:
    """Lines for a terminal or an issue."""
    width = max(len(name) for name in facts)
    return "\n".join(f"{name:{width}}  {value}" for name, value in facts.items())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _is_checkout() -> bool:
    return (Path(__file__).parents[2] / "pyproject.toml").exists()


def _is_container() -> bool:
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
