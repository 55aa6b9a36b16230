"""The DLP service: an HTTP address that judges texts before they reach a model.

Request: `POST` with `{"texts": ["…", …]}`. Answer: 200 with `{"refused": [{"index": 0, "reason":
"a credit card number"}, …]}`, an empty list if all may be sent. Any other answer means that the
service is down: turns wait, nothing is sent.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated

import aiohttp
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from bot.errors import DependencyDown
from bot.settings import Settings

DEPENDENCY = "dlp"
"""The name of its circuit."""
LARGEST_ANSWER = 1_000_000
UNNAMED = "something that your organization does not allow"
GuardCall = Callable[[str], AbstractAsyncContextManager[None]]
"""Makes a call of a dependency, see `bot.store.Circuits.guard`."""
LONGEST_REASON = 200


def _shown(reason: object) -> object:
    """A reason on one line, shortened; "" for None."""
    return " ".join(reason.split())[:LONGEST_REASON] if isinstance(reason, str) else reason or ""


Reason = Annotated[str, BeforeValidator(_shown)]


class RefusedText(BaseModel):
    """A text that may not be sent; `reason` is shown to its author."""

    index: int = Field(ge=0)
    reason: Reason = ""


class Judgement(BaseModel):
    """The answer of the service."""

    refused: list[RefusedText]


class Service:
    """Asks the service; all of a call's texts in one request."""

    def __init__(self, session: aiohttp.ClientSession, url: str, guard: GuardCall) -> None:
        self._session = session
        self._url = url
        self._guard = guard

    async def find(self, texts: Sequence[str]) -> list[str]:
        """Raises DependencyDown if it cannot be asked."""
        async with self._guard(DEPENDENCY):
            return await self._ask(texts)

    async def _ask(self, texts: Sequence[str]) -> list[str]:
        body = json.dumps({"texts": list(texts)}).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise DependencyDown(f"status {response.status}", certain=True)
                answer = await _read(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DependencyDown(type(error).__name__, certain=True) from None
        return read_judgement(answer, len(texts))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole answer, which may arrive in pieces. Raises DependencyDown if it is too large."""
    answer = bytearray()
    async for piece in response.content.iter_any():
        answer += piece
        if len(answer) > LARGEST_ANSWER:
            raise DependencyDown("answer too large", certain=True)
    return bytes(answer)


def read_judgement(answer: bytes, count: int) -> list[str]:
    """The reason for each of `count` texts, "" if it may be sent. Raises DependencyDown."""
    try:
        refused = Judgement.model_validate_json(answer).refused
    except ValidationError:
        raise DependencyDown("malformed answer", certain=True) from None
    if any(each.index >= count for each in refused):
        raise DependencyDown("malformed answer", certain=True)
    reasons = {each.index: each.reason or UNNAMED for each in refused}
    return [reasons.get(index, "") for index in range(count)]


@asynccontextmanager
async def open_service(settings: Settings, guard: GuardCall) -> AsyncIterator[Service]:
    """The service at `BOT_DLP_URL`."""
    token = settings.bot_dlp_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=settings.bot_dlp_timeout)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=True) as session:
        yield Service(session, settings.bot_dlp_url or "", guard)
