"""Data loss prevention: what may not reach a model, by the admin's rules and service.

Fails closed: a text that could not be checked is not sent.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from bot.dlp.rules import Rules, load_rules
from bot.dlp.service import GuardCall, open_service
from bot.settings import Settings

REMEMBERED = 5_000
FRESH_SECONDS = 300.0
"""Seconds for which an allowed text is not checked again: a turn sends the same text in several
calls to the AI server."""


class Checker(Protocol):
    """One way to check texts."""

    async def find(self, texts: Sequence[str]) -> list[str]:
        """For each text what it contains that may not be sent; "" if nothing."""
        ...


class Dlp:
    """Checks texts with all checkers, in order; without any, everything is allowed."""

    def __init__(self, checkers: Sequence[Checker] = (), *, unchecked_files: bool = True) -> None:
        self._checkers = checkers
        self.is_on = bool(checkers)
        """Whether there is anything to check with."""
        self._allowed: OrderedDict[bytes, float] = OrderedDict()
        self.unchecked_files = unchecked_files or not checkers
        """Whether files whose text cannot be read may be sent."""

    async def find(self, texts: Sequence[str]) -> list[str]:
        """For each text the reason why it may not be sent, for people; "" if it may.

        Raises DependencyDown while the service cannot be asked.
        """
        if not self.is_on:
            return [""] * len(texts)
        unknown = [text for text in dict.fromkeys(texts) if text and not self._is_allowed(text)]
        reasons: dict[str, str] = {}
        for checker in self._checkers:
            left = [text for text in unknown if text not in reasons]
            found = await checker.find(left) if left else []
            reasons |= {text: why for text, why in zip(left, found, strict=True) if why}
        self._allow(text for text in unknown if text not in reasons)
        return [reasons.get(text, "") for text in texts]

    def _is_allowed(self, text: str) -> bool:
        return time.monotonic() < self._allowed.get(_digest(text), 0.0)

    def _allow(self, texts: Iterable[str]) -> None:
        until = time.monotonic() + FRESH_SECONDS
        for text in texts:
            self._allowed[_digest(text)] = until
        while len(self._allowed) > REMEMBERED:
            self._allowed.popitem(last=False)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@asynccontextmanager
async def open_dlp(settings: Settings, guard: GuardCall) -> AsyncIterator[Dlp]:
    """The rules and the service that the settings name. Raises ConfigError."""
    checkers: list[Checker] = []
    async with AsyncExitStack() as stack:
        if settings.bot_dlp_rules is not None:
            checkers.append(Rules(load_rules(settings.bot_dlp_rules), settings.bot_dlp_timeout))
        if settings.bot_dlp_url is not None:
            checkers.append(await stack.enter_async_context(open_service(settings, guard)))
        yield Dlp(checkers, unchecked_files=settings.bot_dlp_unchecked_files)
