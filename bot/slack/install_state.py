"""The state of an installation under way: signed, short-lived, used once, bound to one browser.

Nothing is stored for a visitor who only opens the page.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable

from bot.store import Flags

SECONDS = 600
COOKIE = "threadbot-install"
_STATE = re.compile(
    r"(?P<head>[A-Za-z0-9_-]{24}\.(?P<until>[0-9]{10,12}))\.(?P<signature>[0-9a-f]{64})"
)


class InstallStates:
    """Issues and checks states; all processes with the same secret accept each other's."""

    def __init__(self, secret: str, flags: Flags, clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256(b"threadbot install state\0" + secret.encode()).digest()
        self._flags = flags
        self._clock = clock

    def issue(self, browser: str) -> str:
        """A state for the browser that has this cookie."""
        head = f"{secrets.token_urlsafe(18)}.{int(self._clock()) + SECONDS}"
        return f"{head}.{self._sign(head, browser)}"

    def is_valid(self, state: str, browser: str) -> bool:
        """Whether we issued the state to this browser recently."""
        found = _STATE.fullmatch(state)
        if not found or not browser:
            return False
        fits = hmac.compare_digest(self._sign(found["head"], browser), found["signature"])
        return fits and self._clock() < int(found["until"])

    async def use_up(self, state: str) -> bool:
        """Take a valid state; False if it was used before. Raises StoreUnavailable."""
        digest = hashlib.sha256(state.encode()).hexdigest()
        owner = secrets.token_hex(8)
        return await self._flags.take(f"install:{digest}", owner, SECONDS)

    def _sign(self, head: str, browser: str) -> str:
        text = f"{head}\0{browser}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


def new_browser() -> str:
    """The value of the cookie of a browser that has none."""
    return secrets.token_urlsafe(24)
