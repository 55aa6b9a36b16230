"""Fills a workspace from a YAML file: people with roles, channels, earlier messages.

    people:
      - {name: alice, role: admin}
      - {name: gina, role: guest}
      - {name: olaf, role: external}
    channels:
      - {name: support, private: true, members: [alice, gina]}
    messages:
      - channel: support
        from: alice
        text: The printer is on fire
        replies:
          - {from: gina, text: "Again?"}

`from: bot` is the app. The app gets no events for any of it: it was
said before the installation.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_slack.local_slack import LocalSlack
from local_slack.people import Person
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Message

ROLES: dict[str, dict[str, Any]] = {
    "member": {},
    "admin": {"is_admin": True},
    "guest": {"is_guest": True},
    "external": {"team_id": "T0ELSEWHERE"},
}


FIELDS = {
    "people": (("name",), ("role",)),
    "channels": (("name",), ("members", "private")),
    "messages": (("channel", "from", "text"), ("replies",)),
    "replies": (("from", "text"), ()),
}
"""The fields of an entry: those that it needs, and those that it may have."""
LISTS = ("members", "replies")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,20}")
CHANNEL_NAME = re.compile(r"[^\sA-Z#@.,]{1,80}")
RESERVED = ("bot", "here", "channel", "everyone")


class SeedError(ValueError):
    """The file cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What the file asks for, as it was read."""

    people: list[Any]
    channels: list[Any]
    messages: list[Any]


def read_seed(file: Path) -> Seed:
    """Read the file. Raises SeedError."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SeedError(f"{file} cannot be read: {error}") from None
    names = ("people", "channels", "messages")
    if not isinstance(content, dict) or set(content) - set(names):
        raise SeedError(f"{file} may have {', '.join(names)}, and nothing else")
    parts = [content.get(name) or [] for name in names]
    if not all(isinstance(part, list) for part in parts):
        raise SeedError(f"{file}: each of {', '.join(names)} is a list")
    return Seed(*parts)


def apply_seed(slack: LocalSlack, seed: Seed) -> None:
    """Add what the workspace lacks. Earlier messages go into channels without messages only, so
    that a second start adds nothing twice. Raises SeedError.
    """
    for number, person in enumerate(seed.people, 1):
        _add("people", number, _add_person, slack, person)
    for number, channel in enumerate(seed.channels, 1):
        _add("channels", number, _add_channel, slack, channel)
    empty = {
        channel.id
        for channel in slack.workspace.channels.values()
        if not slack.workspace.messages.get(channel.id)
    }
    for number, message in enumerate(seed.messages, 1):
        _add("messages", number, _add_message, slack, message, empty)


def _add(kind: str, number: int, add: Any, slack: LocalSlack, entry: Any, *more: Any) -> None:
    place = f"{kind} {number}"
    _check(place, kind, entry)
    try:
        add(slack, *more, **{name.replace("from", "by"): value for name, value in entry.items()})
    except _WrongValue as error:
        raise SeedError(f"{place}: {error}") from None
    except SlackError as error:
        raise SeedError(f"{place}: {error} ({entry})") from None


def _check(place: str, kind: str, entry: Any) -> None:
    """Raise SeedError unless the entry has the fields of its kind."""
    needed, more = FIELDS[kind]
    if not isinstance(entry, dict):
        raise SeedError(f"{place}: write {{{needed[0]}: …}}")
    if missing := [name for name in needed if entry.get(name) is None]:
        raise SeedError(f"{place}: {', '.join(missing)} is missing")
    if unknown := [str(name) for name in entry if name not in (*needed, *more)]:
        known = ", ".join((*needed, *more))
        raise SeedError(f"{place}: there is no {', '.join(unknown)}, only {known}")
    for name, value in entry.items():
        if name in LISTS and not isinstance(value or [], list):
            raise SeedError(f"{place}: {name} is a list")
        if name not in LISTS and isinstance(value, list | dict):
            raise SeedError(f"{place}: {name} is a single value")
    for reply_number, reply in enumerate(entry.get("replies") or (), 1):
        _check(f"{place}, replies {reply_number}", "replies", reply)


class _WrongValue(ValueError):
    """A value of an entry; the text says what it may be."""


def add_person(slack: LocalSlack, name: str, role: str) -> Person:
    """A new person with a role of `ROLES`, in all public channels. Raises SlackError."""
    if role not in ROLES:
        raise SlackError("invalid_role")
    taken = {user.name for user in slack.workspace.users.values()}
    if not NAME.fullmatch(name) or name in {*taken, *RESERVED}:
        raise SlackError("name_taken" if name in taken else "invalid_name")
    person = slack.add_user(name, **ROLES[role])
    for channel in slack.workspace.channels.values():
        if channel.type == "channel":
            slack.workspace.join(channel, person.id)
    return person


def _add_person(slack: LocalSlack, name: str, role: str = "member") -> None:
    if role not in ROLES:
        raise _WrongValue(f"the role is one of {', '.join(ROLES)}")
    if not NAME.fullmatch(str(name)) or name in RESERVED:
        raise _WrongValue("the name has up to 21 of a-z, 0-9, '.', '_' and '-'")
    known = next((user for user in slack.workspace.users.values() if user.name == name), None)
    if known is None:
        slack.add_user(str(name), **ROLES[role])
    elif role == "admin":
        known.is_admin = True


def _add_channel(
    slack: LocalSlack, name: str, members: list[str] | None = None, private: bool = False
) -> None:
    if not CHANNEL_NAME.fullmatch(str(name)):
        raise _WrongValue("the name has up to 80 characters: no spaces, dots or capital letters")
    if slack.workspace.find_channel(f"#{name}") is None:
        people = [user.id for user in slack.workspace.users.values() if not user.is_bot]
        wanted = people if members is None else [str(member) for member in members]
        slack.add_channel(str(name), wanted, private=private)


def _add_message(
    slack: LocalSlack,
    empty: set[str],
    channel: str,
    by: str,
    text: str,
    replies: list[dict[str, str]] | None = None,
) -> None:
    found = slack.channel(f"#{channel}")
    if found.id not in empty:
        return
    root = _index(slack, found.id, by, text)
    for reply in replies or ():
        _index(slack, found.id, reply["from"], reply["text"], root)


def _index(slack: LocalSlack, channel_id: str, by: str, text: str, root: str | None = None) -> str:
    bot = slack.bot
    user = bot if by == "bot" else slack.workspace.get_user(str(by))
    ts = slack.clock.next_ts()
    message = Message(channel_id, ts, user.id, str(text), root)
    if user is bot:
        message.bot_id, message.app_id = bot.bot_id, bot.app_id
    slack.workspace.index(message)
    return ts
