"""GET requests for the polls of thousands of runs, past most layers of the SDK.

The URL, the headers, the connections, their limits and the errors are the SDK's. Work that the SDK
repeats for each request is skipped: options and their models, merged headers, hooks.
"""

import json
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI

from bot.engines.client import GatedClient

REDIRECTS = range(300, 400)


class Reader:
    """Reads JSON from one AI server. Raises the SDK's errors, which `vendor_errors` maps."""

    def __init__(self, client: AsyncOpenAI, timeout: httpx2.Timeout) -> None:
        self._client = client
        self._extensions = {"timeout": timeout.as_dict()}
        self._base = str(client.base_url).rstrip("/")
        self._headers = httpx2.Headers(
            {
                name: value
                for name, value in {**client.auth_headers, **client.default_headers}.items()
                if isinstance(value, str) and name.lower() != "content-type"
            }
        )

    async def get(self, path: str) -> object:
        """The JSON of a response. Other content raises ValueError."""
        http = self._client._client
        assert isinstance(http, GatedClient)
        url = httpx2.URL(self._base + path)
        request = httpx2.Request(
            "GET", url, headers=self._headers, extensions=dict(self._extensions)
        )
        if http.cookies:
            http.cookies.set_cookie_header(request)
        try:
            response, body = await http.read(request)
        except httpx2.TimeoutException as error:
            raise openai.APITimeoutError(request=request) from error
        except Exception as error:
            raise openai.APIConnectionError(request=request) from error
        if "set-cookie" in response.headers:
            response.request = request
            http.cookies.extract_cookies(response)
        if response.status_code in REDIRECTS:
            return await self._client.get(path, cast_to=object)
        if response.is_error:
            raise self._client._make_status_error_from_response(
                httpx2.Response(
                    response.status_code, headers=response.headers, content=body, request=request
                )
            )
        return json.loads(body)


def is_lean(client: Any) -> bool:
    """Whether a client has the connections that a `Reader` needs."""
    return isinstance(client._client, GatedClient)
