"""Removes secrets from what a server says: it may repeat the credentials that it was given."""

import re
from collections.abc import Callable, Iterator, Mapping

from bot.tools.config import ServerConfig

REMOVED = "[removed]"
SHORTEST = 8
"""Characters of a secret; a shorter one could be an ordinary word of an answer."""
_SECRET = re.compile(r"auth|token|key|secret|passw|credential|cookie", re.IGNORECASE)

Scrub = Callable[[str], str]
"""Returns a text without secrets."""


def configured_secrets(config: ServerConfig) -> tuple[str, ...]:
    """The secrets of a server's `headers` and `env`, the longest first."""
    found = {*_secrets_of(config.headers), *_secrets_of(config.env)}
    return tuple(sorted(found, key=len, reverse=True))


def _secrets_of(values: Mapping[str, str]) -> Iterator[str]:
    """The values whose names are those of secrets; of `Bearer …` only the token."""
    for name, value in values.items():
        secret = value.rpartition(" ")[2]
        if _SECRET.search(name) and len(secret) >= SHORTEST:
            yield secret


def without(text: str, secrets: tuple[str, ...]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, REMOVED)
    return text
