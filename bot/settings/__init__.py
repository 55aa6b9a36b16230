"""All environment variables that the program reads: typed and frozen, with secrets masked.

`load` reads the environment and `.env`; nothing is read at import.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot import plugins, sealing
from bot.errors import ConfigError
from bot.models import FollowUps
from bot.settings.addresses import parse_addresses
from bot.settings.problems import PLACEHOLDER, problems_of
from bot.settings.values import (
    ENGINES,
    ChannelIds,
    DaysByPlace,
    Models,
    PersonIds,
    TeamIds,
    mistaken,
)

DEFAULT_INSTRUCTIONS = (
    "You are a helpful assistant in a Slack workspace. Answer in the language you are asked in, "
    "briefly and to the point, in Markdown."
)
MOST_SHARDS = 1024

_BLANKS = re.compile(r"(xoxb-|xapp-|xoxe\.xoxp-|sk-)?(\.{3,}|…|x{3,}|<[^>]*>|your[-_ ].*)?", re.I)


def is_placeholder(name: str, value: object) -> bool:
    """Whether the value is a placeholder instead of a secret, such as `sk-...`."""
    if name not in SECRETS:
        return False
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value or "-")
    return bool(_BLANKS.fullmatch(text.strip()))


class Settings(BaseSettings):
    """The settings of one deployment. Field names are the variables' names in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    slack_bot_token: SecretStr | None = Field(
        None,
        description="Bot token of the Slack app (`xoxb-…`); needed unless workspaces install the "
        "app themselves (`SLACK_CLIENT_ID`).",
    )
    slack_signing_secret: SecretStr | None = Field(
        None, description="Signing secret of the Slack app; needed over HTTP."
    )
    slack_app_token: SecretStr | None = Field(
        None, description="App-level token (`xapp-…`). Present: Socket Mode. Absent: HTTP."
    )
    slack_client_id: str | None = Field(
        None,
        description="Client ID of the Slack app. Present: any workspace can install the bot at "
        "`/slack/install`; see `docs/how-to/many-workspaces.md`.",
    )
    slack_client_secret: SecretStr | None = Field(
        None, description="Client secret of the Slack app; needed with `SLACK_CLIENT_ID`."
    )
    slack_config_token: SecretStr | None = Field(
        None,
        description="Configuration token (`xoxe.xoxp-…`, valid for 12 hours): with it `bot doctor` "
        "compares the app's event subscriptions.",
    )
    slack_api_url: str = Field(
        "https://slack.com/api/",
        description="Base of Slack's Web API; GovSlack: `https://slack-gov.com/api/`.",
    )
    openai_api_key: SecretStr | None = Field(None, description="Key of the AI server.")
    openai_base_url: str | None = Field(
        None, description="Base of the AI server's API; default is OpenAI's own."
    )
    openai_model: str = Field("gpt-6-luna", description="Model that answers.")
    bot_models: Models = Field(
        (),
        description="Models that admins may choose for a channel, separated by commas; empty: "
        "those that the AI server lists.",
    )
    openai_assistant_id: str | None = Field(
        None, description="Assistant that answers (`assistants` engine only)."
    )
    bot_engine: str = Field(
        "responses",
        description="Protocol of the AI server: `responses` or `assistants`; `echo` needs none; or "
        "the engine of an installed plug-in.",
    )
    bot_protocol: Literal["auto", "conversations", "responses", "chat"] = Field(
        "auto",
        description="OpenAI protocol of the AI server (`responses` engine only): its own "
        "`conversations`, `responses` without them, or `chat` completions; `auto` detects it.",
    )
    bot_instructions: str = Field(
        DEFAULT_INSTRUCTIONS, description="Instructions for the assistant."
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Where Redis is: `redis://`, `rediss://` or `unix://`; "
        "`redis+sentinel://a,b,c/PRIMARY` or `redis+cluster://a,b,c` with TLS as `rediss+…`. "
        "Several servers, with `BOT_SHARDS`: their addresses, separated by commas.",
    )
    bot_shards: int = Field(
        1,
        ge=1,
        le=MOST_SHARDS,
        description="Number of shards that the workspaces are spread over, on several Redis "
        "servers or a cluster. Choose it before the first start.",
    )
    bot_redis_tls_verify: bool | None = Field(
        None,
        description="Check Redis's certificate; default: yes, on Heroku no (self-signed).",
    )
    bot_redis_prefix: str = Field("bot", description="First part of every key in Redis.")
    bot_redis_confirm: Literal["", "replica", "disk", "both"] = Field(
        "",
        description="What must have stored a message before Slack gets its acknowledgement: a "
        "Redis `replica`, its `disk`, or `both`.",
    )
    bot_redis_connections: int = Field(
        10,
        ge=3,
        description="Maximum connections to a Redis server per process; a worker has one more "
        "for each further shard there, and two that find the server with Sentinels or a cluster.",
    )
    bot_encryption_keys: SecretStr | None = Field(
        None,
        description="Keys that encrypt the tokens and keys stored in Redis (`bot keys generate`), "
        "newest first, separated by commas.",
    )
    bot_redis_memory_mb: int = Field(
        0,
        ge=0,
        description="Memory in MB that Redis may use, if the server has no limit of its own "
        "(`maxmemory`): from 80 % on the oldest records are deleted. 0: no limit.",
    )
    port: int = Field(3000, ge=0, le=65535, description="Port of `bot web` and `bot run`.")
    bot_host: str = Field("0.0.0.0", description="Address that `PORT` is bound to.")
    bot_public_url: str | None = Field(
        None,
        description="Public address of the bot, like `https://host`; for `bot doctor`, and needed "
        "with `SLACK_CLIENT_ID` and to connect people's accounts.",
    )
    bot_health_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of the worker's `/healthz`, `/readyz`, `/metrics`; absent: none.",
    )
    bot_metrics_token: SecretStr | None = Field(
        None, description="Bearer token of `/metrics`; without it `PORT` serves none."
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="Where OpenTelemetry traces go (OTLP over HTTP); absent: nowhere."
    )
    bot_concurrency: int = Field(
        2000, ge=1, description="Maximum threads that one worker answers at the same time."
    )
    bot_runs_per_minute: int | None = Field(
        None,
        ge=1,
        description="Maximum runs that all workers together start per minute; absent: no limit.",
    )
    bot_run_deadline: float = Field(
        600, gt=0, description="Seconds after which an unfinished run is cancelled."
    )
    bot_streaming: bool = Field(
        True, description="Show answers while they are written, if the AI server can stream."
    )
    bot_stream_channels: bool = Field(
        False,
        description="Stream answers in channels, too: Slack then shows them live to the asker "
        "only. Off: they are posted and edited there.",
    )
    bot_answer_messages: int = Field(
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
    bot_gather_seconds: float = Field(
        0.0,
        ge=0,
        description="Seconds that a reply waits for others that were sent at the same time. The "
        "order needs no wait: see docs/design.md.",
    )
    bot_attempts: int = Field(
        5, ge=1, description="Failures after which a message becomes a dead letter."
    )
    bot_outage_patience: float = Field(
        21600,
        ge=0,
        description="Seconds that a message waits for an AI server or a Slack that is down.",
    )
    bot_stall_log: float = Field(
        10, gt=0, description="Seconds of a blocked event loop after which its stack is logged."
    )
    bot_stall_exit: float = Field(
        30, gt=0, description="Seconds of a blocked event loop after which the process exits."
    )
    bot_slow_answer: float = Field(
        120, gt=0, description="Seconds after which an answer is logged as `slow_answer`."
    )
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
    bot_retention_days: int = Field(
        30,
        ge=0,
        description="Days without a message after which a conversation is deleted, and days "
        "after which feedback is deleted; 0: never.",
    )
    bot_uninstall_days: int = Field(
        7,
        ge=0,
        description="Days after which the data of a workspace that removed the bot is deleted.",
    )
    bot_retention_places: DaysByPlace = Field(
        {},
        description="Days for individual workspaces and channels, instead of `BOT_RETENTION_DAYS`: "
        "`T0123=7, C0456=0`; a channel's number overrides its workspace's.",
    )
    bot_rollover_messages: int = Field(
        50,
        ge=1,
        description="Messages after which a conversation is continued in a new one with a summary.",
    )
    bot_tools: Path | None = Field(
        None,
        description="File with MCP servers and tools, TOML or `.mcp.json`; see `docs/tools.md`.",
    )
    bot_audit_log: str = Field(
        "",
        description="Where JSON lines about who did what go, for a SIEM: `stdout`, or the path "
        "of a file; empty: nowhere.",
    )
    bot_audit_days: int = Field(
        400, ge=0, description="Days for which the audit trail of tool calls is kept; 0: for ever."
    )
    bot_dlp_rules: Path | None = Field(
        None,
        description="TOML file with regular expressions for what may not reach the model; see "
        "`docs/how-to/data-protection.md`.",
    )
    bot_dlp_url: str | None = Field(
        None, description="Address of a service that judges each text before the model gets it."
    )
    bot_dlp_token: SecretStr | None = Field(None, description="Bearer token for `BOT_DLP_URL`.")
    bot_dlp_timeout: float = Field(
        5, gt=0, description="Seconds for one check; after that the text counts as unchecked."
    )
    bot_dlp_unchecked_files: bool = Field(
        False,
        description="With `BOT_DLP_RULES` or `BOT_DLP_URL`: also send the model files whose text "
        "cannot be read (images, PDFs, audio).",
    )
    bot_prices: Path | None = Field(
        None, description="TOML file with the prices of models; see `examples/prices.toml`."
    )
    bot_limit_person_requests: int | None = Field(
        None, ge=1, description="Maximum requests per person and minute."
    )
    bot_limit_person_tokens: int | None = Field(
        None, ge=1, description="Maximum tokens per person and day (UTC)."
    )
    bot_limit_person_cost: float | None = Field(
        None, gt=0, description="Maximum US dollars per person and month; needs `BOT_PRICES`."
    )
    bot_limit_channel_requests: int | None = Field(
        None, ge=1, description="Maximum requests per channel and minute."
    )
    bot_limit_channel_tokens: int | None = Field(
        None, ge=1, description="Maximum tokens per channel and day (UTC)."
    )
    bot_limit_channel_cost: float | None = Field(
        None, gt=0, description="Maximum US dollars per channel and month; needs `BOT_PRICES`."
    )
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
        found = {name for name in data if is_placeholder(name, data[name])} - {"slack_bot_token"}
        settings = build({name: data[name] for name in data if name not in found})
        settings._placeholders = frozenset(found)
        return settings

    @property
    def placeholders(self) -> frozenset[str]:
        """The fields that still have the placeholder of `.env.example`."""
        return self._placeholders

    @field_validator("bot_engine")
    @classmethod
    def _is_engine(cls, value: str) -> str:
        if value in ENGINES or value in plugins.find_names(plugins.ENGINES):
            return value
        known = ", ".join((*ENGINES, *sorted(plugins.find_names(plugins.ENGINES))))
        raise ValueError(f"is not the name of an engine: {known}")

    @field_validator("slack_bot_token")
    @classmethod
    def _is_bot_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return value
        if is_placeholder("slack_bot_token", value):
            raise ValueError(PLACEHOLDER)
        if not value.get_secret_value().startswith("xoxb-"):
            raise ValueError(f"is not a bot token: it must begin with xoxb-{mistaken(value)}")
        return value

    @field_validator("slack_client_id")
    @classmethod
    def _is_client_id(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9]+\.[0-9]+", value):
            raise ValueError("is not a client ID: two numbers with a dot, under Basic Information")
        return value

    @field_validator("bot_encryption_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not sealing.parse_keys(value.get_secret_value()):
            raise ValueError(f"holds no key: {sealing.HOW_TO_GENERATE}")
        return value

    @field_validator("slack_app_token")
    @classmethod
    def _is_app_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith("xapp-"):
            hint = mistaken(value)
            raise ValueError(f"is not an app-level token: it must begin with xapp-{hint}")
        return value

    @field_validator(
        "slack_api_url",
        "openai_base_url",
        "bot_public_url",
        "bot_dlp_url",
        "otel_exporter_otlp_endpoint",
    )
    @classmethod
    def _is_http_url(cls, value: str | None) -> str | None:
        if value is not None and (
            urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname
        ):
            raise ValueError("is not an http(s) address")
        return value

    @field_validator("slack_api_url")
    @classmethod
    def _ends_with_slash(cls, value: str) -> str:
        return value if value.endswith("/") else value + "/"

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: str) -> str:
        parse_addresses(value)
        return value

    @property
    def socket_mode(self) -> bool:
        """Whether events come over Slack's WebSocket instead of HTTP."""
        return self.slack_app_token is not None

    @property
    def secrets(self) -> list[str]:
        """All secrets in the settings, to be kept out of the logs."""
        values = (getattr(self, name) for name in type(self).model_fields)
        found = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        addresses = parse_addresses(self.redis_url)
        return [*found, *self._split_keys(), *(each for a in addresses for each in a.secrets)]

    @property
    def keyring(self) -> sealing.Keyring:
        """The keys that encrypt stored secrets; empty if none are set."""
        return sealing.Keyring(sealing.parse_keys(" ".join(self._split_keys())))

    def _split_keys(self) -> list[str]:
        value = self.bot_encryption_keys
        return sealing.split_keys(value.get_secret_value()) if value else []

    @property
    def redis_budget(self) -> int:
        """The memory that Redis may use, in bytes; 0 without a limit."""
        return self.bot_redis_memory_mb * 1_000_000

    @property
    def redis_tls_verify(self) -> bool:
        """Heroku's Redis presents a self-signed chain, and Heroku sets DYNO in every process."""
        if self.bot_redis_tls_verify is None:
            return "DYNO" not in os.environ
        return self.bot_redis_tls_verify


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
