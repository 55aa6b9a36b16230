"""The request that creates a response, cut down to what the server understands."""

import hashlib
from collections.abc import Sequence
from typing import Any, cast

from openai import AsyncOpenAI

from bot.engines import RunRequest
from bot.engines.attachments import input_part
from bot.engines.client import CREATE
from bot.engines.errors import vendor_errors
from bot.errors import RunFailed
from bot.media import Attachment
from bot.models import Message
from bot.settings import Settings
from bot.telemetry.log import log

OPTIONAL = ("stream", "prompt_cache_key", "safety_identifier", "truncation", "metadata", "store")
"""Fields that are left out once a server has refused them."""


class Requests:
    """Creates responses; remembers for the life of the process what the server refuses."""

    def __init__(self, client: AsyncOpenAI, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._refused: set[str] = set()

    def refuses(self, field: str) -> bool:
        return field in self._refused

    def body(self, request: RunRequest) -> dict[str, Any]:
        """What every turn asks for, whatever the server; the input is the caller's to add."""
        conversation, messages, options = request.conversation, request.messages, request.options
        asker = options.user_id or conversation.user_id
        return {
            "model": options.model or self._settings.openai_model,
            "instructions": options.instructions or self._settings.bot_instructions,
            "truncation": "auto",
            "prompt_cache_key": conversation.id[-64:],
            "safety_identifier": hashlib.sha256(asker.encode()).hexdigest(),
            "metadata": {
                "turn": request.turn_id,
                "slack_thread": conversation.thread.key,
                "slack_ts": messages[-1].ts if messages else "",
            },
        }

    async def create(self, body: dict[str, Any], timeout: Any = CREATE) -> object:
        """The response, or the stream of it, or whatever else the server may answer.

        A refused field is left out from then on; nothing has been done when it is refused.
        """
        while True:
            sent = {key: value for key, value in body.items() if key not in self._refused}
            try:
                with vendor_errors():
                    created = await self._client.responses.create(**sent, timeout=timeout)
                    return cast(object, created)
            except RunFailed as error:
                named = [key for key in OPTIONAL if key in sent and key in error.detail]
                if error.reason != "bad_request" or not named:
                    raise
                log.info("field_refused", field=named[0])
                self._refused.add(named[0])


def as_item(message: Message, files: Sequence[Attachment] = ()) -> dict[str, Any]:
    """A Slack message as an item of the input: its words come first."""
    content = [{"type": "input_text", "text": message.text}, *map(input_part, files)]
    return {"type": "message", "role": "user", "content": content}
