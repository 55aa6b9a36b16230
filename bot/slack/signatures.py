"""Slack's signatures: https://docs.slack.dev/authentication/verifying-requests-from-slack.

No part of a request is parsed before its signature is verified. A request that cannot have a valid
signature is refused before its body is read.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping

SECONDS = 300
"""Maximum difference of Slack's clock and ours, in seconds."""

UNSIGNED = "unsigned"
"""Reasons that mean the request is not from Slack; scanners send these all day."""
SKEWED = "clock"
FORGED = "secret"

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)


class Verifier:
    """Verifies requests with the app's signing secret."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._clock = clock

    def reject_headers(self, headers: Mapping[str, str]) -> str:
        """Why the headers alone make the request invalid; "" if they do not."""
        timestamp = headers.get("X-Slack-Request-Timestamp", "")
        signature = headers.get("X-Slack-Signature", "")
        if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
            return UNSIGNED
        return SKEWED if abs(self._clock() - int(timestamp)) > SECONDS else ""

    def reject_body(self, headers: Mapping[str, str], body: bytes) -> str:
        """Why the signature does not match this body; "" if it does. The headers were accepted."""
        base = f"v0:{headers['X-Slack-Request-Timestamp']}:".encode() + body
        expected = "v0=" + hmac.new(self._secret, base, hashlib.sha256).hexdigest()
        is_valid = hmac.compare_digest(expected, headers["X-Slack-Signature"])
        return "" if is_valid and self._secret else FORGED
