"""All environment variables that the program reads: typed and frozen, with secrets masked.

`load` reads the environment and `.env`; nothing is read at import.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import ConfigError
from bot.settings.addresses import parse_addresses
from bot.settings.areas.access import AccessSettings
from bot.settings.areas.ai_server import DEFAULT_INSTRUCTIONS as DEFAULT_INSTRUCTIONS
from bot.settings.areas.ai_server import AISettings
from bot.settings.areas.answers import AnswerSettings
from bot.settings.areas.failures import FailureSettings
from bot.settings.areas.process import ProcessSettings
from bot.settings.areas.redis import RedisSettings
from bot.settings.areas.retention import RetentionSettings
from bot.settings.areas.slack import SlackSettings
from bot.settings.areas.tools import ToolSettings
from bot.settings.areas.usage import UsageSettings
from bot.settings.problems import problems_of
from bot.settings.values import is_blank, passwords_of, strip_invisible


def is_placeholder(name: str, value: object) -> bool:
    """Whether the value is a placeholder instead of a secret, such as `sk-...`."""
    if name not in SECRETS:
        return False
    return is_blank(value.get_secret_value() if isinstance(value, SecretStr) else str(value or "-"))


def _stripped(value: object) -> object:
    return strip_invisible(value) if isinstance(value, str) else value


def _is_invisible(value: object) -> bool:
    """Whether a value that looks empty is not: it counts as unset, as an empty one does."""
    return isinstance(value, str) and bool(value) and not strip_invisible(value)


class Settings(
    UsageSettings,
    ToolSettings,
    RetentionSettings,
    AccessSettings,
    FailureSettings,
    AnswerSettings,
    ProcessSettings,
    RedisSettings,
    AISettings,
    SlackSettings,
    BaseSettings,
):
    """The settings of one deployment. Pydantic lists the fields of the last base first."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    bot_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged."
    )
    bot_state_dir: Path = Field(
        Path(".bot"),
        description="Folder of `bot try` (with its own Redis) and of the echo engine's file.",
    )

    _placeholders: frozenset[str] = PrivateAttr(frozenset())

    @model_validator(mode="wrap")
    @classmethod
    def _unset_placeholders(cls, data: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """A placeholder counts as unset; that of the required token has its own message."""
        given = {name: value for name, value in data.items() if not _is_invisible(value)}
        given = {name: _stripped(value) for name, value in given.items()}
        found = {name for name in given if is_placeholder(name, given[name])} - {"slack_bot_token"}
        settings = build({name: given[name] for name in given if name not in found})
        settings._placeholders = frozenset(found)
        return settings

    @property
    def placeholders(self) -> frozenset[str]:
        """The fields that still have the placeholder of `.env.example`."""
        return self._placeholders

    @property
    def secrets(self) -> list[str]:
        """All secrets in the settings, to be kept out of the logs."""
        values = (getattr(self, name) for name in type(self).model_fields)
        found = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        addresses = parse_addresses(self.redis_url)
        urls = (self.openai_base_url, self.bot_dlp_url, self.otel_exporter_otlp_endpoint)
        found += [password for url in urls if url for password in passwords_of(url)]
        return [*found, *self.split_keys(), *(each for a in addresses for each in a.secrets)]


def load(env_file: Path | None = Path(".env"), **given: Any) -> Settings:
    """Read the settings from `given`, then the environment, then `env_file`.

    Raises ConfigError naming the first variable that is missing or wrong.
    """
    settings = read(env_file, **given)
    for problem in problems_of(settings):
        raise problem
    return settings


def read(env_file: Path | None = Path(".env"), **given: Any) -> Settings:
    """Like `load`, without checking that the values fit together."""
    try:
        return Settings(_env_file=env_file, **given)
    except UnicodeDecodeError:
        raise ConfigError(str(env_file), "is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(str(env_file), f"cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise _config_errors(error)[0] from None


def find_problems(env_file: Path | None = Path(".env")) -> list[ConfigError]:
    """Everything that is missing or wrong; `load` names only the first."""
    try:
        return list(problems_of(Settings(_env_file=env_file)))
    except UnicodeDecodeError:
        return [ConfigError(str(env_file), "is not UTF-8 text: save it as UTF-8")]
    except ValidationError as error:
        return _config_errors(error)


_WORDS = {
    "missing": "is not set",
    "int_parsing": "is not a whole number",
    "float_parsing": "is not a number",
    "bool_parsing": "is neither true nor false",
}
"""Our texts for types of pydantic's errors whose own texts are for programmers."""


def _config_errors(error: ValidationError) -> list[ConfigError]:
    return [
        ConfigError(
            str(each["loc"][0]).upper() if each["loc"] else "settings",
            _WORDS.get(each["type"], each["msg"].removeprefix("Value error, ")),
        )
        for each in error.errors(include_url=False, include_input=False)
    ]


SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)
_NOTHING: tuple[object, ...] = (PydanticUndefined, None, frozenset(), (), {})


def render_table() -> str:
    """The settings as a Markdown table."""
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in _NOTHING else f"`{field.default}`"
        shown = "*(a short text)*" if name == "bot_instructions" else default
        lines.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines)
