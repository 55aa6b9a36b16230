"""Requests to the AI server as plain JSON, over the SDK's transport, authentication and errors.

The SDK's typed models are not used: validating an event costs thirty times as much as parsing it,
and many servers omit required fields.
"""

import math
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import openai
from openai import AsyncOpenAI

from bot.engines.client import create_timeout, read_timeout
from bot.engines.direct import DirectClient, has_direct
from bot.engines.errors import NotFoundKind, too_large, vendor_errors
from bot.engines.events import EventStream
from bot.engines.items import listed, text
from bot.engines.parsing import parse
from bot.engines.size import MIB, size_of
from bot.engines.transport import BoundedEvents, Pieces, read_whole
from bot.errors import NOT_THE_PROTOCOL, ConversationGone, Retry, RunFailed
from bot.models import Json
from bot.timing import EngineTiming

PAGE = 100
LIST_BYTES = 24 * MIB
"""All entries of one list in memory, as far as they are kept."""
SMALLEST_PAGE = 1
_EVENTS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")
_JSON = re.compile(r"(application|text)/([\w.-]+\+)?json\b(?!-)", re.IGNORECASE)
PAGES = 200
"""Maximum pages of one list: a server may return the same page forever."""


class Api:
    """One AI server. All methods raise the errors of `bot.errors`.

    A `path` consists of literal parts and of ids, which are quoted. `missing` says what a 404
    means, see `bot.engines.errors.vendor_errors`.
    """

    def __init__(
        self, client: AsyncOpenAI, timing: EngineTiming = EngineTiming(), model: str = ""
    ) -> None:
        self.client = client
        self.timing = timing
        self._model = model
        self._read = read_timeout(timing)
        self._create = create_timeout(timing)
        self._direct = DirectClient(client) if has_direct(client) else None

    async def get(self, *path: str, missing: NotFoundKind = "conversation", **query: Any) -> Json:
        """GET a JSON object; raises Retry for any other response."""
        with self._errors(missing):
            asked = f"{_join(path)}?{urlencode(query)}" if query else _join(path)
            if self._direct is not None:
                return _checked(await self._direct.get(asked, self._read))
            options = self._options(self._read)
            return _checked(await self.client.get(asked, cast_to=object, options=options))

    async def post(
        self,
        *path: str,
        body: Mapping[str, Any],
        missing: NotFoundKind = "conversation",
        timeout: Any = None,
    ) -> Json:
        """POST to create or change something; returns the JSON object of the response."""
        with self._errors(missing, body):
            return _checked(await self._post(_join(path), body, timeout or self._create))

    async def _post(self, path: str, body: Mapping[str, Any], timeout: httpx2.Timeout) -> object:
        if self._direct is not None:
            return await self._direct.post(path, body, timeout)
        options = self._options(timeout)
        return await self.client.post(path, cast_to=object, body=body, options=options)

    async def attempt(self, *path: str, ignored: Collection[int]) -> Json | None:
        """POST without a body; None if the server answers with one of the `ignored` statuses."""
        with self._errors("run"):
            try:
                done = await self._post(_join(path), {}, self._read)
            except openai.APIStatusError as error:
                if error.status_code in ignored:
                    return None
                raise
        return _checked(done)

    async def delete(self, *path: str, missing: NotFoundKind = "conversation") -> None:
        """DELETE something; the body of the response, often empty, is not read."""
        with self._errors(missing):
            await self.client.delete(
                _join(path), cast_to=httpx2.Response, options=self._options(self._create)
            )

    async def stream(
        self,
        *path: str,
        body: Mapping[str, Any],
        missing: NotFoundKind = "conversation",
        timeout: Any = None,
    ) -> EventStream | Json:
        """POST with `stream`; a server that does not stream answers with a JSON object."""
        with self._errors(missing, body):
            sent = {**body, "stream": True}
            opened = await self._open(_join(path), sent, timeout or self._create)
            return await self._stream_or_body(opened)

    async def _open(self, path: str, body: Json, timeout: httpx2.Timeout) -> EventStream:
        if self._direct is not None:
            return await self._direct.stream(path, body, timeout)
        return await self.client.post(
            path,
            cast_to=object,
            body=body,
            options=self._options(timeout),
            stream=True,
            stream_cls=EventStream,
        )

    async def events(self, *path: str, **query: Any) -> EventStream:
        """GET an event stream."""
        with self._errors("run"):
            opened = await self.client.get(
                _join(path),
                cast_to=object,
                options=self._options(self._create, {**query, "stream": "true"}),
                stream=True,
                stream_cls=EventStream,
            )
            answer = await self._stream_or_body(opened)
        if isinstance(answer, EventStream):
            return answer
        raise Retry("not an event stream")

    async def pages(self, *path: str, **query: Any) -> AsyncIterator[list[Json]]:
        """The pages of a list, each entry once: some servers return the same page again. A page
        whose body is too large is requested in smaller ones."""
        limit, after, seen = PAGE, query.pop("after", ""), set[str]()
        for _ in range(PAGES):
            asked = {**query, "limit": limit} | ({"after": after} if after else {})
            try:
                page = await self.get(*path, **asked)
            except RunFailed as error:
                if error.reason != "answer_too_large" or limit == SMALLEST_PAGE:
                    raise
                limit = max(SMALLEST_PAGE, limit // 10)
                continue
            data = [entry for entry in listed(page.get("data")) if isinstance(entry, dict)]
            yield [entry for entry in data if _id_of(entry) not in seen]
            after = _id_of(data[-1]) if data else ""
            has_more = page.get("has_more", len(data) >= limit)
            if not has_more or not after or after in seen:
                return
            seen.update(map(_id_of, data))
            seen.discard("")

    async def all(
        self,
        *path: str,
        keep: Callable[[Json], Json | None] = lambda entry: entry,
        most: float = math.inf,
        **query: Any,
    ) -> list[Json]:
        """The list, in the order of the server, up to `most` entries.

        `keep` reduces an entry to what the caller needs; None leaves it out. Raises
        RunFailed("answer_too_large") if what is kept takes too much memory.
        """
        found: list[Json] = []
        size = 0
        async for page in self.pages(*path, **query):
            for kept in filter(None, map(keep, page)):
                size += size_of(kept)
                if size > LIST_BYTES:
                    raise too_large()
                found.append(kept)
                if len(found) >= most:
                    return found
        return found

    async def file_content(self, file_id: str, container_id: str = "") -> bytes:
        """The bytes of a file, or of one in a container of the code interpreter."""
        with self._errors("file"):
            if container_id:
                files = self.client.containers.files
                content = await files.content.retrieve(file_id, container_id=container_id)
            else:
                content = await self.client.files.content(file_id)
            return await content.aread()

    async def upload(self, file: tuple[str, bytes, str], purpose: Any, **options: Any) -> str:
        """Upload a file; returns its id."""
        with self._errors("endpoint"):
            files = self.client.files.with_raw_response
            made = await files.create(file=file, purpose=purpose, **options)
            return str(with_id(_checked(parse(made.content)))["id"])

    async def _stream_or_body(self, opened: EventStream) -> EventStream | Json:
        response = opened.response
        if not _JSON.match(response.headers.get("content-type", "")):
            return opened
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        try:
            body = await read_whole(stream)
        finally:
            await response.aclose()
        return self._as_events(opened, body) if _EVENTS.match(body) else _checked(parse(body))

    def _as_events(self, opened: EventStream, body: bytearray) -> EventStream:
        """The events of a body that the server called JSON."""
        stream, request = BoundedEvents(Pieces(body)), opened.response.request
        response = httpx2.Response(opened.response.status_code, stream=stream, request=request)
        return EventStream(cast_to=object, response=response, client=self.client)

    def slow_timeout(self, seconds: float) -> httpx2.Timeout:
        """The timeout of a request whose response may take this long to begin."""
        return httpx2.Timeout(seconds, connect=self.timing.connect_timeout)

    def _errors(
        self, missing: NotFoundKind, body: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[None]:
        model = str((body or {}).get("model") or self._model)
        return vendor_errors(missing, model=model, lock_pause=self.timing.lock_pause)

    def _options(self, timeout: Any, query: Mapping[str, Any] | None = None) -> Any:
        return {"timeout": timeout, "params": dict(query)} if query else {"timeout": timeout}


def _join(path: tuple[str, ...]) -> str:
    if not all(path):
        raise ConversationGone("an empty id")
    return "/" + "/".join(quote(part, safe="") for part in path)


def _id_of(entry: Json) -> str:
    return str(entry.get("id") or "")


def with_id(answer: Json) -> Json:
    """The body, if it is an object of the protocol: some servers answer 200 to unknown requests.
    Raises Retry."""
    if text(answer.get("id")):
        return answer
    raise Retry(NOT_THE_PROTOCOL)


def _checked(answer: object) -> Json:
    """The response, if it is a JSON object: proxies answer 200 with a page."""
    if isinstance(answer, dict):
        return answer
    raise Retry(NOT_THE_PROTOCOL)
