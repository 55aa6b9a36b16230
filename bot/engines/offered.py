"""The models that admins may choose: those of BOT_MODELS, or those that the AI server lists.

Runs in `web`, which has no engine: one request, without the SDK. It is best effort.
"""

import re
import time
from typing import Annotated

import aiohttp
from pydantic import BaseModel, StringConstraints, ValidationError

from bot.settings import Settings
from bot.telemetry.log import log

OPENAI = "https://api.openai.com/v1"
SECONDS = 1.0
"""A modal has to be opened within three seconds."""
FRESH_SECONDS, FAILED_SECONDS = 600.0, 60.0
LARGEST_ANSWER = 1_000_000
MOST = 99
"""Options of one of Slack's menus, without the default."""
LONGEST = 75
"""Characters of an option."""
_OTHER = re.compile(
    r"embed|tts|whisper|transcribe|dall-e|image|audio|realtime|moderation|sora|davinci|babbage|rerank"
    r"|search-preview|computer-use",
    re.IGNORECASE,
)
"""Models that do not answer in a conversation."""


class _Model(BaseModel):
    id: Annotated[str, StringConstraints(min_length=1)]


class _Models(BaseModel):
    data: list[_Model]


class OfferedModels:
    """The models of one deployment; the server's list is kept for ten minutes."""

    def __init__(self, settings: Settings) -> None:
        self._configured = settings.bot_models
        self._base = (settings.openai_base_url or OPENAI).rstrip("/")
        self._asks = settings.bot_engine == "responses"
        self._key = settings.openai_api_key
        self._known: tuple[str, ...] = ()
        self._until = 0.0

    async def list(self) -> tuple[str, ...]:
        """The names of the models; empty if they are not known."""
        if self._configured or not self._asks:
            return self._configured[:MOST]
        if time.monotonic() >= self._until:
            try:
                self._known = await self._fetch()
                lasts = FRESH_SECONDS
            except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
                log.info("models_not_listed", error=type(error).__name__)
                lasts = FAILED_SECONDS
            self._until = time.monotonic() + lasts
        return self._known

    async def _fetch(self) -> tuple[str, ...]:
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else {}
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(f"{self._base}/models", headers=headers, allow_redirects=False) as response,
        ):
            response.raise_for_status()
            answer = await response.content.read(LARGEST_ANSWER)
        names = {model.id for model in _Models.model_validate_json(answer).data}
        fitting = (name for name in names if len(name) <= LONGEST and not _OTHER.search(name))
        return tuple(sorted(fitting))[:MOST]
