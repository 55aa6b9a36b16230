"""Redis: its address and shards, and what is encrypted there."""

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from bot import sealing
from bot.settings.addresses import parse_addresses
from bot.settings.values import Count

MOST_SHARDS = 1024


def _check_addresses(value: str) -> str:
    parse_addresses(value)
    return value


def _check_keys(value: SecretStr) -> SecretStr:
    if not sealing.parse_keys(value.get_secret_value()):
        raise ValueError(f"holds no key: {sealing.HOW_TO_GENERATE}")
    return value


RedisUrl = Annotated[str, AfterValidator(_check_addresses)]
EncryptionKeys = Annotated[SecretStr, AfterValidator(_check_keys)]


class RedisSettings:
    """Redis: its address and shards, and what is encrypted there."""

    redis_url: RedisUrl = Field(
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
    bot_redis_connections: Count = Field(
        10,
        ge=3,
        description="Maximum connections to a Redis server per process; a worker has one more "
        "for each further shard there, and two that find the server with Sentinels or a cluster.",
    )
    bot_encryption_keys: EncryptionKeys | None = Field(
        None,
        description="Keys that encrypt the tokens and keys stored in Redis (`bot keys generate`), "
        "newest first, separated by commas.",
    )
    bot_redis_memory_mb: Count = Field(
        0,
        ge=0,
        description="Memory in MB that Redis may use, if the server has no limit of its own "
        "(`maxmemory`): from 80 % on the oldest records are deleted. 0: no limit.",
    )

    @property
    def keyring(self) -> sealing.Keyring:
        """The keys that encrypt stored secrets; empty if none are set."""
        return sealing.Keyring(sealing.parse_keys(" ".join(self.split_keys())))

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

    def split_keys(self) -> list[str]:
        """The keys of `BOT_ENCRYPTION_KEYS`, newest first."""
        value = self.bot_encryption_keys
        return sealing.split_keys(value.get_secret_value()) if value else []
