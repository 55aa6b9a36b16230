"""Looks up the messages of an answer in Slack after a post of unknown outcome.

A message is found by the turn and the part in its metadata. A stream gets these only when it is
stopped: one whose `ts` was never recorded is recognized as our only message without metadata.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Message
from bot.slack.text import parse_text
from bot.slack.threads import read_replies

METADATA_EVENT = "bot_answer"
"""The type of the metadata of an answer's messages."""


@dataclass(slots=True)
class Posted:
    """The messages of one turn's answer in Slack. All methods raise as `slack_errors`."""

    client: AsyncWebClient
    message: Message
    """The question."""
    turn_id: str
    bot_id: str
    _is_absent: bool = False
    """Whether a look-up found nothing of this turn in Slack, and nothing was posted since."""

    def expect_traces(self) -> None:
        """Note a call of unknown outcome: from now on Slack may hold messages of this turn."""
        self._is_absent = False

    async def find(self, part: int) -> str | None:
        """The `ts` of a part of this turn that Slack already holds, or None."""
        if self._is_absent:
            return None
        wanted = (METADATA_EVENT, self.turn_id, part)
        async for message in self._replies():
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if (metadata.get("event_type"), payload.get("turn"), payload.get("part")) == wanted:
                return str(message["ts"])
        return None

    async def find_whole(self, since: str) -> tuple[str, Mapping[str, str]] | None:
        """The text of this turn's answer and its ending, if Slack holds all of it.

        `since` is the `ts` of the turn's first message: when the turn is begun again, it may have
        more messages than those that were answered.
        """
        texts: dict[int, str] = {}
        ending: Mapping[str, str] | None = None
        unmarked = False
        async for message in self._replies(since):
            metadata = message.get("metadata") or {}
            unmarked = unmarked or (not metadata and message.get("bot_id") == self.bot_id)
            payload = metadata.get("event_payload") or {}
            if (metadata.get("event_type"), payload.get("turn")) == (METADATA_EVENT, self.turn_id):
                texts[int(payload.get("part", 0))] = parse_text(message.get("text") or "")
                ending = payload if payload.get("whole") else ending
        self._is_absent = not texts and not unmarked
        return None if ending is None else ("\n\n".join(texts[n] for n in sorted(texts)), ending)

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

    def _replies(self, since: str = "") -> AsyncIterator[Mapping[str, Any]]:
        """The messages of the thread, starting at the question."""
        return read_replies(
            self.client,
            self.message.thread,
            oldest=since or self.message.ts,
            include_all_metadata=True,
        )
