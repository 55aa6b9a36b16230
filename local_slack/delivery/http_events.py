"""Deliveries as signed HTTP requests to the app's request URL."""

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

import aiohttp

from local_slack.delivery.delivery import AppResponse, Delivery
from local_slack.workspace.model import Json


def signed_headers(signing_secret: str, body: str, timestamp: int | None = None) -> dict[str, str]:
    """Slack's v0 signature: HMAC-SHA256 over "v0:{timestamp}:{body}"."""
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    digest = hmac.new(signing_secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256)
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest.hexdigest()}",
    }


class HttpEvents:
    """The transport of the Events API. `url` may be set once the app knows its port."""

    def __init__(self, signing_secret: str, url: str | None) -> None:
        self.url = url
        self._signing_secret = signing_secret
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def close(self) -> None:
        await self._session.close()

    async def verify_url(self) -> bool:
        """Send `url_verification` as Slack does when a request URL is saved."""
        challenge: Json = {"token": "x", "challenge": "local-slack", "type": "url_verification"}
        delivery = Delivery(0, "events_api", "url_verification", challenge)
        answer = await self.send(delivery, 3.0, 0, "")
        body = answer.body
        return answer.ok and (body.get("challenge") if isinstance(body, dict) else body) == (
            "local-slack"
        )

    async def send(
        self, delivery: Delivery, timeout: float, retry_num: int, retry_reason: str
    ) -> AppResponse:
        if self.url is None:
            return AppResponse(None, "connection_failed")
        body, content_type = _encode(delivery)
        headers = signed_headers(self._signing_secret, body) | {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }
        if retry_num:
            headers |= {"X-Slack-Retry-Num": str(retry_num), "X-Slack-Retry-Reason": retry_reason}
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._session.post(
                self.url, data=body.encode(), headers=headers, timeout=limit, max_redirects=2
            ) as response:
                return _read(response, await response.text())
        except TimeoutError:
            return AppResponse(None, "http_timeout")
        except aiohttp.TooManyRedirects:
            return AppResponse(None, "too_many_redirects")
        except (aiohttp.ClientError, OSError):
            return AppResponse(None, "connection_failed")


def _encode(delivery: Delivery) -> tuple[str, str]:
    form = "application/x-www-form-urlencoded"
    if delivery.kind == "slash_commands":
        return urlencode(delivery.payload, errors="surrogatepass"), form
    if delivery.kind == "interactive":
        return urlencode({"payload": json.dumps(delivery.payload)}), form
    return json.dumps(delivery.payload), "application/json"


def _read(response: aiohttp.ClientResponse, text: str) -> AppResponse:
    ok = 200 <= response.status < 300
    retry = response.headers.get("X-Slack-No-Retry") != "1"
    return AppResponse(response.status, "" if ok else "http_error", parse_body(text), retry)


def parse_body(text: str) -> object:
    """The response body: JSON, or text (which Slack shows as a message)."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
