"""Requests for the steps and polls of thousands of runs, past most layers of the SDK.

The URL, the headers, the connections, their limits and the errors are the SDK's. Work that the SDK
repeats for each request is skipped: options and their models, merged headers, hooks.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx2
import openai
from openai import AsyncOpenAI

from bot.engines.client import GatedClient
from bot.engines.events import EventStream

T = TypeVar("T")

REDIRECTS = range(300, 400)


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

    async def get(self, path: str, timeout: httpx2.Timeout) -> object:
        """The JSON of a response. Other content raises ValueError."""
        request = self._request("GET", path, timeout)
        response, body = await self._sent(request, self._http.read)
        if response.status_code in REDIRECTS:
            return await self._client.get(path, cast_to=object, options={"timeout": timeout})
        return json.loads(self._checked(request, response, body))

    async def post(self, path: str, given: Mapping[str, Any], timeout: httpx2.Timeout) -> object:
        """Like `get`, for a POST of a JSON object."""
        request = self._request("POST", path, timeout, given)
        response, body = await self._sent(request, self._http.read)
        if response.status_code in REDIRECTS:
            return await self._client.post(
                path, cast_to=object, body=given, options={"timeout": timeout}
            )
        return json.loads(self._checked(request, response, body))

    async def stream(
        self, path: str, given: Mapping[str, Any], timeout: httpx2.Timeout
    ) -> EventStream:
        """Like `post`; the response is still to be read."""
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
        url, extensions = httpx2.URL(self._base + path), {"timeout": timeout.as_dict()}
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
        try:
            return await send(request)
        except httpx2.TimeoutException as error:
            raise openai.APITimeoutError(request=request) from error
        except Exception as error:
            raise openai.APIConnectionError(request=request) from error

    def _checked(self, request: httpx2.Request, response: httpx2.Response, body: bytes) -> bytes:
        """The body of a response without an error."""
        if response.is_error:
            raise self._client._make_status_error_from_response(
                httpx2.Response(
                    response.status_code, headers=response.headers, content=body, request=request
                )
            )
        return body


def _dump(given: Mapping[str, Any]) -> bytes:
    """JSON in the form in which the SDK sends it."""
    text = json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def has_direct(client: Any) -> bool:
    """Whether a client has the connections that a `DirectClient` needs."""
    return isinstance(client._client, GatedClient)
