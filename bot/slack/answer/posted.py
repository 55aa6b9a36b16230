"""Looks up the messages of an answer in Slack after a post of unknown outcome.

A message is found by the turn and the part in its metadata. Only our own messages count: other
apps may post any metadata. A stream gets these only when it is stopped: one whose `ts` was never
recorded is recognized as our only message without metadata.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Message
from bot.slack.text import parse_text
from bot.slack.threads import read_replies

_TS = re.compile(r"\b\d{1,12}\.\d{1,9}\b", re.ASCII)

METADATA_EVENT = "bot_answer"
"""The type of the metadata of an answer's messages."""


@dataclass(slots=True)
class FoundAnswer:
    """An answer that is found in Slack; `is_whole` once its ending (`Chat.ending`) is."""

    parts: dict[int, str] = field(default_factory=dict)
    is_whole: bool = False
    answers: frozenset[str] = frozenset()
    """The `ts` of the messages that it answers; none if an older version wrote it."""
    conversation: str = ""
    engine: str = ""

    def take(self, text: str, payload: Mapping[str, Any]) -> None:
        """Add one of its messages."""
        self.parts[int(payload.get("part", 0))] = text
        if payload.get("whole"):
            self.is_whole = True
            self.answers = frozenset(_TS.findall(str(payload.get("answers") or "")))
            self.conversation = str(payload.get("conversation") or "")
            self.engine = str(payload.get("engine") or "")

    @property
    def text(self) -> str:
        """The parts that were found, in order."""
        return "\n\n".join(self.parts[number] for number in sorted(self.parts))


@dataclass(slots=True)
class Posted:
    """The messages of one turn's answer in Slack. All methods raise as `slack_errors`."""

    client: AsyncWebClient
    message: Message
    """The question."""
    turn_id: str
    bot_id: str = ""
    user_id: str = ""
    """Our ids; "" if unknown."""
    _is_absent: bool = False
    """Whether a look-up found nothing of this turn in Slack, and nothing was posted since."""

    def expect_traces(self) -> None:
        """Note a call of unknown outcome: from now on Slack may hold messages of this turn."""
        self._is_absent = False

    async def find(self, part: int) -> str | None:
        """The `ts` of a part of this turn that Slack already holds, or None."""
        if self._is_absent:
            return None
        async for message in self._replies():
            payload = self._payload(message)
            if (payload.get("turn"), payload.get("part")) == (self.turn_id, part):
                return str(message["ts"])
        return None

    async def find_whole(
        self, asked: Sequence[str], *, others: bool = True
    ) -> tuple["FoundAnswer", ...]:
        """The complete answers that Slack holds to messages with the `ts` in `asked`, in order.

        That is this turn's answer and, unless `others` is False, those of other turns: one that
        began with another message may have answered some of these. `asked` is in order, too.
        """
        found: dict[str, FoundAnswer] = {}
        unmarked = False
        async for message in self._replies(asked[0]):
            is_marked = bool(message.get("metadata"))
            unmarked = unmarked or (not is_marked and message.get("bot_id") == self.bot_id)
            if (payload := self._payload(message)).get("turn"):
                answer = found.setdefault(str(payload["turn"]), FoundAnswer())
                answer.take(parse_text(message.get("text") or ""), payload)
        self._is_absent = self.turn_id not in found and not unmarked
        return tuple(
            answer
            for turn_id, answer in found.items()
            if turn_id == self.turn_id or (others and answer.answers.intersection(asked))
            if answer.is_whole
        )

    async def find_orphan(self, known: Sequence[str]) -> str | None:
        """The `ts` of a stream of this turn that was started but never recorded, or None.

        It is our message, newer than the question and without metadata. Only one can exist:
        everything else that we post in threads has metadata, except files.
        """
        if self._is_absent:
            return None
        found = None
        async for message in self._replies():
            if (
                message.get("bot_id") == self.bot_id
                and not message.get("metadata")
                and not message.get("subtype")
                and not message.get("files")
                and message["ts"] not in known
                and message["ts"] > self.message.ts
            ):
                found = str(message["ts"])
        return found

    def _payload(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the metadata says of a message of an answer; nothing of other messages."""
        metadata = message.get("metadata") or {}
        if metadata.get("event_type") != METADATA_EVENT or not self._is_ours(message):
            return {}
        return metadata.get("event_payload") or {}

    def _is_ours(self, message: Mapping[str, Any]) -> bool:
        ids = {self.bot_id, self.user_id} - {""}
        return not ids or not ids.isdisjoint((message.get("bot_id"), message.get("user")))

    def _replies(self, since: str = "") -> AsyncIterator[Mapping[str, Any]]:
        """The messages of the thread, starting at the question."""
        return read_replies(
            self.client,
            self.message.thread,
            oldest=since or self.message.ts,
            include_all_metadata=True,
        )
