"""The types of variables that hold more than one value, and hints about tokens."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

ENGINES = {
    "responses": "bot.engines.router:open_responses",
    "assistants": "bot.engines.assistants:open_assistants",
    "echo": "bot.engines.echo:open_echo",
}
"""The engines by their name in `BOT_ENGINE`; each with the function that opens it."""
PROTOCOLS = ("responses", "assistants")
"""The engines that ask a server with OpenAI's SDK."""


_BLANKS = re.compile(r"(xoxb-|xapp-|xoxe\.xoxp-|sk-)?(\.{3,}|…|x{3,}|<[^>]*>|your[-_ ].*)?", re.I)


def is_blank(secret: str) -> bool:
    """Whether a text stands for a secret that is still to be filled in, such as `sk-...`."""
    return bool(_BLANKS.fullmatch(secret.strip()))


def _check_http(value: str) -> str:
    address = urlsplit(value)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("is not an http(s) address")
    return value


HttpUrl = Annotated[str, AfterValidator(_check_http)]


def _split(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _ids_of(what: str, letters: str) -> AfterValidator:
    """A name instead of an id would match no one, and a deny rule would never apply."""

    def check(ids: frozenset[str]) -> frozenset[str]:
        for each in sorted(ids):
            if not re.fullmatch(f"[{letters}][A-Z0-9]+", each):
                raise ValueError(f"{each!r} is no id of a {what} ({letters[0]}…)")
        return ids

    return AfterValidator(check)


# Separated by commas or spaces.
PersonIds = Annotated[frozenset[str], NoDecode, BeforeValidator(_split), _ids_of("person", "UW")]
TeamIds = Annotated[frozenset[str], NoDecode, BeforeValidator(_split), _ids_of("workspace", "TE")]
ChannelIds = Annotated[frozenset[str], NoDecode, BeforeValidator(_split), _ids_of("channel", "CGD")]


Models = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def _days_by_place(value: object) -> object:
    """`T0123=7, C0456=0` as a mapping."""
    pairs = _split(value)
    if not isinstance(pairs, list):
        return value
    days: dict[str, str] = {}
    for pair in pairs:
        place, is_pair, number = str(pair).partition("=")
        if not is_pair or not re.fullmatch(r"[TECGD][A-Z0-9]+", place):
            raise ValueError(f"{pair!r} is not the id of a workspace or channel, =, and days")
        days[place] = number
    return days


DaysByPlace = Annotated[
    dict[str, Annotated[int, Field(ge=0)]], NoDecode, BeforeValidator(_days_by_place)
]


_MISTAKEN = {
    "xapp-": "this is an app-level token, for SLACK_APP_TOKEN; are the two swapped?",
    "xoxb-": "this is a bot token, for SLACK_BOT_TOKEN; are the two swapped?",
    "xoxe": "this token comes from token rotation and expires after 12 hours; make an app whose "
    "manifest has token_rotation_enabled: false",
    "xoxp-": "this is a person's token; copy the Bot User OAuth Token",
}


def wrong_token_hint(token: SecretStr) -> str:
    """The kind of secret that a value in the wrong variable is, from its prefix."""
    value = token.get_secret_value()
    found = next((hint for start, hint in _MISTAKEN.items() if value.startswith(start)), "")
    return f" ({found})" if found else ""
