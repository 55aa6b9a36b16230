"""Requests for the steps and polls of thousands of runs, past most layers of the SDK.

The URL, the headers, the limits and the errors are the SDK's. A GET request has a connection of our
own (`Pool`), unless a proxy is in between. Work that the SDK repeats for each request is skipped:
options and their models, merged headers, hooks.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypeVar

import httpx2
import openai
from openai import AsyncOpenAI

from bot.engines.client import GatedClient
from bot.engines.connection import Response as LeanResponse
from bot.engines.events import EventStream
from bot.engines.parsing import parse
from bot.engines.pool import Pool, body_of, head_of
from bot.models import well_formed

T = TypeVar("T")

REDIRECTS = range(300, 400)
COOKIES_KEPT = 10.0
"""Seconds after which the cookies of polls are looked up again."""


class DirectClient:
    """Sends JSON to one AI server. Raises the SDK's errors, which `vendor_errors` maps."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client
        self._base = str(client.base_url).rstrip("/")
        headers = {**client.auth_headers, **client.default_headers}
        named = {name: value for name, value in headers.items() if isinstance(value, str)}
        self._with_body = httpx2.Headers(named)
        self._without_body = httpx2.Headers(
            {name: value for name, value in named.items() if name.lower() != "content-type"}
        )
        self._url = httpx2.URL(self._base)
        self._prefix = self._url.raw_path.decode("ascii").rstrip("/")
        self._head = head_of(self._url, self._without_body)
        self._pool = self._http.pool_of(self._url)
        self._cookies: tuple[bytes, float] | None = None

    async def get(self, path: str, timeout: httpx2.Timeout) -> object:
        """The JSON of a response. Other content raises ValueError."""
        body: bytes | bytearray
        if self._pool is None:
            request = self._request("GET", path, timeout)
            response, body = await self._sent(request, self._http.read)
        else:
            lean, body = await self._get(self._pool, path, timeout)
            if lean.status == HTTPStatus.OK and not lean.header(b"set-cookie"):
                return parse(body)
            request = self._request("GET", path, timeout)
            response = httpx2.Response(lean.status, headers=lean.headers, request=request)
            response.headers.pop("content-encoding", None)  # `body` is decompressed
            self._http.cookies.extract_cookies(response)
            self._cookies = None
        if response.status_code in REDIRECTS:
            options: Any = {"timeout": timeout}
            found = await self._client.get(path, cast_to=httpx2.Response, options=options)
            return parse(found.content)
        return parse(self._checked(request, response, body))

    async def _get(
        self, pool: Pool, path: str, timeout: httpx2.Timeout
    ) -> tuple[LeanResponse, bytes | bytearray]:
        line = f"GET {self._prefix}{path} HTTP/1.1\r\n".encode("ascii")
        head = line + self._head + self._cookie_header() + b"\r\n"
        with _sdk_errors(self._url):
            response = await self._http.read_lean(pool, head, self._prefix + path, timeout)
            return response, body_of(response)

    def _cookie_header(self) -> bytes:
        """The header with the server's cookies, if there are any; cached for a few seconds."""
        if not self._http.cookies:
            return b""
        now = time.monotonic()
        if self._cookies is None or now - self._cookies[1] > COOKIES_KEPT:
            request = httpx2.Request("GET", self._url)
            self._http.cookies.set_cookie_header(request)
            value = request.headers.get("cookie", "")
            header = f"Cookie: {value}\r\n".encode("latin-1", "replace") if value else b""
            self._cookies = header, now
        return self._cookies[0]

    async def post(self, path: str, given: Mapping[str, Any], timeout: httpx2.Timeout) -> object:
        """Like `get`, for a POST of a JSON object."""
        request = self._request("POST", path, timeout, given)
        response, body = await self._sent(request, self._http.read)
        if response.status_code in REDIRECTS:
            options: Any = {"timeout": timeout}
            made = await self._client.post(
                path, cast_to=httpx2.Response, body=given, options=options
            )
            return parse(made.content)
        return parse(self._checked(request, response, body))

    async def stream(
        self, path: str, given: Mapping[str, Any], timeout: httpx2.Timeout
    ) -> EventStream:
        """Like `post`, without reading the response."""
        request = self._request("POST", path, timeout, given)
        response = await self._sent(request, self._http.open)
        if response.status_code in REDIRECTS:
            await response.aclose()
            return await self._client.post(
                path,
                cast_to=object,
                body=given,
                options={"timeout": timeout},
                stream=True,
                stream_cls=EventStream,
            )
        if response.is_error:
            try:
                body = await response.aread()
            finally:
                await response.aclose()
            self._checked(request, response, body)
        return EventStream(cast_to=object, response=response, client=self._client)

    @property
    def _http(self) -> GatedClient:
        http = self._client._client
        assert isinstance(http, GatedClient)
        return http

    def _request(
        self,
        method: str,
        path: str,
        timeout: httpx2.Timeout,
        given: Mapping[str, Any] | None = None,
    ) -> httpx2.Request:
        url, extensions = _parsed(self._base + path), {"timeout": timeout.as_dict()}
        if given is None:
            headers, content = self._without_body, None
        else:
            headers, content = self._with_body, _dump(given)
        request = httpx2.Request(
            method, url, headers=headers, content=content, extensions=extensions
        )
        if self._http.cookies:
            self._http.cookies.set_cookie_header(request)
        return request

    async def _sent(
        self, request: httpx2.Request, send: Callable[[httpx2.Request], Awaitable[T]]
    ) -> T:
        with _sdk_errors(request.url):
            return await send(request)

    def _checked(
        self, request: httpx2.Request, response: httpx2.Response, body: bytes | bytearray
    ) -> bytes | bytearray:
        """The body of a response without an error."""
        if response.is_error:
            raise self._client._make_status_error_from_response(
                httpx2.Response(
                    response.status_code,
                    headers=response.headers,
                    content=bytes(body),
                    request=request,
                )
            )
        return body


@lru_cache(maxsize=100)
def _parsed(url: str) -> httpx2.URL:
    """Most requests go to two addresses; parsing one takes longer than building its request."""
    return httpx2.URL(url)


@contextmanager
def _sdk_errors(url: httpx2.URL) -> Iterator[None]:
    """Errors of httpx2 become those of the SDK."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise openai.APITimeoutError(request=httpx2.Request("GET", url)) from error
    except Exception as error:
        raise openai.APIConnectionError(request=httpx2.Request("GET", url)) from error


def _dump(given: Mapping[str, Any]) -> bytes:
    """JSON in the form in which the SDK sends it."""
    text = json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, for example in the result of a tool
        return well_formed(text).encode()


def has_direct(client: Any) -> bool:
    """Whether a client has the connections that a `DirectClient` needs."""
    return isinstance(client._client, GatedClient)
