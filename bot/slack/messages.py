"""From an event to a `Message`: its author, its addressee and its content.

Pure, and tolerant: an event without author, channel or time does not count as a person's.
"""

import re
from typing import Any, Literal

from bot.models import Message, MessageKind, Thread
from bot.slack.block_text import string
from bot.slack.client import Identity
from bot.slack.content import read_content
from bot.slack.payload import Payload
from bot.slack.text import parse_text
from bot.telemetry import trace
from bot.texts.prompts import BARE_MENTION, NO_WORDS

SPOKEN = frozenset({None, "file_share", "thread_broadcast", "me_message"})
"""Subtypes of `message` that people write; the others are Slack's own notices."""
POSTED = SPOKEN | {"bot_message"}
"""A message of a workflow or of another app."""

SLACK = "USLACK"
SLACKBOT = "USLACKBOT"

RESET_WORDS = frozenset({"reset", "/reset", "!reset"})
STOP_WORDS = frozenset({"stop", "/stop", "!stop"})

_AROUND = " \t\n.!…*_~`\"'“”‘’\u200b\u200e\u200f\u2060\ufeff"
"""Punctuation, formatting and invisible characters around a command."""
_TS = re.compile(r"\d{1,12}\.\d{1,9}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


Sender = Literal["person", "app", "slackbot", ""]
"""The kind of author; "" for our own posts, for notices, and for malformed events."""


class Messages:
    """Reads events for one bot."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        mention = rf"<@{re.escape(identity.user_id)}(?:\|[^<>]*)?>"
        self._mention = re.compile(mention)
        self._leading = re.compile(rf"\s*(?:{mention}(?!['’])[\s,:]*)+")

    def is_ours(self, event: Payload) -> bool:
        """Whether the bot itself posted it."""
        bot_id = self._identity.bot_id
        return event.get("user") == self._identity.user_id or (
            bool(bot_id) and event.get("bot_id") == bot_id
        )

    def sender(self, event: Payload) -> Sender:
        """The kind of author."""
        if not _is_complete(event) or self.is_ours(event) or event.get("user") == SLACK:
            return ""
        subtype = event.get("subtype")
        if subtype is not None and not isinstance(subtype, str):
            return ""
        if event.get("user") == SLACKBOT:
            return "slackbot" if subtype in (*POSTED, "slackbot_response") else ""
        if event.get("bot_id") or event.get("bot_profile") or subtype == "bot_message":
            return "app" if subtype in POSTED and author(event) else ""
        return "person" if subtype in SPOKEN and author(event) else ""

    def mentions_us(self, event: Payload) -> bool:
        """Whether the author mentions the bot in their own words."""
        text = string(event.get("text"))
        return bool(self._mention.search(text if text.strip() else read_content(event).own))

    def parse(self, event: Payload, team_id: str, event_id: str = "") -> Message:
        """The message of an event with a sender."""
        content = read_content(event)
        leading = self._leading.match(content.own)
        text = content.text(content.own[leading.end() :] if leading else content.own)
        if not text and not content.files:
            text = BARE_MENTION if self._refers_above(event) else NO_WORDS
        return Message(
            thread=thread_of(event, team_id),
            ts=event["ts"],
            user_id=author(event),
            text=text,
            event_id=event_id,
            user_team_id=_id(event.get("user_team")) or _id(event.get("team")),
            kind=parse_kind(parse_text(self._mention.sub("", content.own))),
            files=content.files,
            trace=trace.current(),
            action_token=_action_token(event),
        )

    def _refers_above(self, event: Payload) -> bool:
        """Whether a mention without a word has messages of others above it."""
        is_reply = event.get("thread_ts") not in (None, event["ts"])
        return self.mentions_us(event) and (is_reply or not event["channel"].startswith("D"))


def _action_token(event: Payload) -> str:
    """Slack sends it at the top level or with the assistant's thread."""
    nested = event.get("assistant_thread")
    places = (event, nested if isinstance(nested, dict) else {})
    found = (place.get("action_token") for place in places)
    return next((token for token in found if isinstance(token, str) and len(token) < 1_000), "")


def author(event: Payload) -> str:
    """The id of the author; of a workflow it is the id of its bot."""
    return _id(event.get("user")) or _id(event.get("bot_id"))


def thread_of(event: Payload, team_id: str) -> Thread:
    """The thread of a complete event; a message at the top of a channel begins one."""
    root = event["thread_ts"] if _is_ts(event.get("thread_ts")) else event["ts"]
    return Thread(team_id, event["channel"], root)


def parse_kind(own: str) -> MessageKind:
    """A single word can be a command to the bot instead of a question."""
    word = own.lower().strip(_AROUND)
    return "reset" if word in RESET_WORDS else "stop" if word in STOP_WORDS else "message"


def _is_complete(event: Payload) -> bool:
    return _is_ts(event.get("ts")) and bool(_id(event.get("channel")))


def _is_ts(value: Any) -> bool:
    return isinstance(value, str) and _TS.fullmatch(value) is not None


def _id(value: Any) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""
