"""The types of variables that hold more than one value, and hints about tokens."""

import re
import unicodedata
from typing import Annotated
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from bot.settings.addresses import both_forms

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
    if re.search(r"\s", address.netloc) or not _has_port(address):
        raise ValueError("has a host or port that cannot be read")
    return value


def _has_port(address: SplitResult) -> bool:
    """Whether the port can be read, if there is one."""
    try:
        return address.port != 0
    except ValueError:
        return False


HttpUrl = Annotated[str, AfterValidator(_check_http)]


def without_password(url: str) -> str:
    """The address without `user:password@`, to be shown."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def passwords_of(url: str) -> tuple[str, ...]:
    """The password in an address, as the address writes it and as it is."""
    return both_forms(urlsplit(url).password)


def _at_most(most: float) -> AfterValidator:
    """A larger number counts as `most`, which is as good as no limit: times and sizes that are
    computed from it stay within the ranges of Python, Redis and Slack."""
    return AfterValidator(lambda value: min(value, most))


Count = Annotated[int, _at_most(10**9)]
Days = Annotated[int, _at_most(10**6)]
Seconds = Annotated[float, _at_most(1e9)]
Dollars = Annotated[float, _at_most(1e9)]


_EDGES = r"[\s\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+"
_AROUND = re.compile(f"^{_EDGES}|{_EDGES}$")


def strip_invisible(value: str) -> str:
    """Without what is copied along with a value and cannot be seen: spaces, line ends, marks."""
    return _AROUND.sub("", value)


_NOT_A_SECRET = re.compile(r"[^ -~]")


def _check_secret(value: SecretStr) -> SecretStr:
    """Secrets travel in headers, which take ASCII only. The error names the character, which is no
    part of a real secret."""
    if found := _NOT_A_SECRET.search(value.get_secret_value()):
        name = unicodedata.name(found[0], "a control character")
        place = found.start() + 1
        raise ValueError(f"has {name} as character {place}: copy it again")
    return value


def _check_not_slack(value: SecretStr) -> SecretStr:
    """A token of Slack in another variable would be sent to someone else."""
    if re.match(r"xox[a-z]-|xox[a-z]\.|xapp-", value.get_secret_value()):
        raise ValueError(f"is a token of Slack{wrong_token_hint(value)}")
    return value


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
OtherSecret = Annotated[Secret, AfterValidator(_check_not_slack)]
"""A secret that is no token of Slack."""


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
    dict[str, Annotated[Days, Field(ge=0)]], NoDecode, BeforeValidator(_days_by_place)
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
