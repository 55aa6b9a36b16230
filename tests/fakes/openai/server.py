"""The fake as a server on loopback, and its interface for tests."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from .answers import Answer
from .chat_completions import ChatCompletions
from .control import Control
from .conversations import Conversations
from .errors import ApiError, no_conversation, no_such_url, out_of_quota, wrong_key
from .faults import Fault, FaultKind, path_matches
from .files import Files
from .options import VARIANTS, Options
from .responses import Responses
from .runs import Runs
from .state import BODY, FAULT, Request, State, StoredFile
from .threads import Threads
from .work import Work

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOSING = ("hang_before", "hang_after", "drop_before", "drop_after")
MAX_BODY = 128 * 1024 * 1024


class FakeOpenAI(State):
    """A running fake; `base_url` ends in `/v1`."""

    def __init__(self, options: Options, seed: int = 0) -> None:
        super().__init__(options, seed)
        self.base_url = ""
        self.assistant_id = self.add_assistant()
        self._hanging = asyncio.Event()
        self._owners: dict[str, str] = {}

    @property
    def api_key(self) -> str:
        return self.options.api_key

    @property
    def working(self) -> list[Work]:
        """All unfinished responses and runs, oldest first."""
        everything = [*self.responses.values(), *self.runs.values()]
        return [work for work in everything if not work.is_over]

    @property
    def open_requests(self) -> list[Request]:
        """Requests in progress; a stream counts as long as the client reads it."""
        return [request for request in self.requests if request.open]

    def finish(self, answer: Answer | str | None = None) -> None:
        """Finishes all work in progress (held, slow, endless)."""
        for work in self.working:
            work.finish(Answer(answer) if isinstance(answer, str) else answer)

    def send_more(self) -> None:
        """Lets held work send its next chunks, as many as before."""
        for work in self.working:
            work.send_more()

    def vanish(self, object_id: str) -> None:
        """Forgets a conversation or thread: it is 404 from now on."""
        self.conversations.pop(object_id, None)
        self.threads.pop(object_id, None)

    def fault(
        self,
        kind: FaultKind,
        method: str = "*",
        path: str = "**",
        *,
        times: int | None = 1,
        skip: int = 0,
        probability: float = 1.0,
        retry_after: float | None = None,
        events: int | None = None,
        bytes: int | None = None,
        seconds: float = 1.0,
        status: int = 400,
        code: str | None = None,
        message: str = "Refused.",
        containing: str = "",
    ) -> None:
        """Switches a `Fault` on."""
        self.faults.add(
            Fault(
                kind,
                method,
                path,
                times=times,
                skip=skip,
                probability=probability,
                retry_after=retry_after,
                events=events,
                bytes=bytes,
                seconds=seconds,
                status=status,
                code=code,
                message=message,
                containing=containing,
            )
        )

    def add_assistant(self, **fields: Any) -> str:
        """A new assistant; returns its id."""
        assistant = {
            "id": self.new_id("asst"),
            "object": "assistant",
            "created_at": self.now(),
            "name": "Fake",
            "description": None,
            "model": "gpt-6-luna",
            "instructions": "Be brief.",
            "tools": [],
            "tool_resources": {},
            "metadata": {},
            "temperature": 1.0,
            "top_p": 1.0,
            "response_format": "auto",
            **fields,
        }
        self.assistants[assistant["id"]] = assistant
        return str(assistant["id"])

    def add_file(self, filename: str, content: bytes) -> str:
        """A file that the model made (`purpose` assistants_output); returns its id."""
        file_id = self.new_id("file")
        stored = StoredFile(file_id, filename, content, "assistants_output", self.now())
        self.files[file_id] = stored
        return file_id

    def add_container_file(self, container_id: str, filename: str, content: bytes) -> str:
        """A file in a code interpreter's container; returns its id."""
        file_id = self.new_id("cfile")
        stored = StoredFile(file_id, filename, content, "assistants_output", self.now())
        self.containers.setdefault(container_id, {})[file_id] = stored
        return file_id

    def created(self, path: str) -> int:
        """How many POSTs to a path (a pattern, as in `Fault`) took effect, answered or not.

        More of `/responses` or `/threads/*/runs` than a test expects are billed twice.
        """
        return sum(
            request.took_effect and request.method == "POST" and path_matches(path, request.path)
            for request in self.requests
        )

    def end_hanging(self) -> None:
        """Close the connections that hang, like a server that restarts."""
        self._hanging.set()
        self._hanging = asyncio.Event()

    async def aclose(self) -> None:
        self._hanging.set()
        for work in [*self.responses.values(), *self.runs.values()]:
            await work.aclose()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Records every request, checks the key, applies the faults, renders the errors."""
        if request.path.startswith("/_control/"):
            return await handler(request)
        record = Request(
            method=request.method,
            path=request.path.removeprefix("/v1"),
            query=dict(request.query),
            body=await _read_json(request),
            headers={k: v for k, v in request.headers.items() if k.lower() != "authorization"},
            time=time.time(),
        )
        self.requests.append(record)
        request[BODY] = record.body
        request[FAULT] = fault = self.faults.meet(
            record.method, record.path, json.dumps(record.body, ensure_ascii=False)
        )
        record.fault = None if fault is None else fault.kind
        try:
            response = await self._serve(request, handler, record, fault)
        except ApiError as error:
            response = error.as_response(self.options.error_style)
        finally:
            record.open = False
        if not response.prepared:
            response.headers["x-request-id"] = self.new_id("req")
        record.status = response.status if record.fault not in LOSING else 0
        return response

    async def _serve(
        self, request: web.Request, handler: Handler, record: Request, fault: Fault | None
    ) -> web.StreamResponse:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        record.key = key
        self._check_key(key, record)
        if fault is not None and (error := fault.as_error()) is not None:
            raise error
        if record.fault == "bad_gateway":
            return web.Response(status=502, text="<html>502 Bad Gateway</html>")
        if record.fault not in ("hang_before", "drop_before"):
            response = await self._handle(request, handler, record)
            self._note_owner(key, record, response)
            if fault is not None and fault.kind == "delay":
                await asyncio.sleep(fault.seconds)
            if record.fault not in LOSING:
                return response
        if record.fault in ("hang_before", "hang_after"):
            await self._hanging.wait()
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    def _check_key(self, key: str, record: Request) -> None:
        """Refuse unknown keys, runs without quota, and conversations of another project."""
        if key not in {self.options.api_key, *self.options.more_keys}:
            raise wrong_key(key)
        if key in self.options.exhausted and record.path == "/responses":
            raise out_of_quota({})
        body = record.body if isinstance(record.body, dict) else {}
        for id, owner in self._owners.items():
            if owner != key and (f"/{id}" in record.path or body.get("conversation") == id):
                raise no_conversation(id)

    def _note_owner(self, key: str, record: Request, response: web.StreamResponse) -> None:
        is_new = (record.method, record.path) == ("POST", "/conversations")
        if is_new and isinstance(response, web.Response) and response.text:
            self._owners[json.loads(response.text)["id"]] = key

    def _is_unknown(self, path: str) -> bool:
        options = self.options
        return (
            ("/responses" in path and not options.responses)
            or ("/chat/" in path and not options.chat_completions)
            or ("/models/" in path and not options.model_pages)
        )

    async def _handle(
        self, request: web.Request, handler: Handler, record: Request
    ) -> web.StreamResponse:
        if self._is_unknown(request.path):
            raise no_such_url(request.method, request.path)
        record.took_effect = True  # also if the client disconnects
        try:
            return await handler(request)
        except ApiError:
            record.took_effect = False
            raise
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            record.took_effect = False
            raise no_such_url(request.method, request.path) from error


async def _read_json(request: web.Request) -> Any:
    """The body of a request, or None; a body that is not JSON is kept as text."""
    if request.content_type.startswith("multipart/") or not request.can_read_body:
        return None
    raw = await request.read()
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


@asynccontextmanager
async def open_fake_openai(
    *, variant: str = "openai", port: int = 0, seed: int = 0, **options: Any
) -> AsyncIterator[FakeOpenAI]:
    """A fake on 127.0.0.1; `options` are the fields of `Options`, `variant` a name in VARIANTS.

    `seed` determines which requests a fault with a probability affects.
    """
    fake = FakeOpenAI(Options(**{**VARIANTS[variant], **options}), seed)
    app = web.Application(middlewares=[fake.middleware], client_max_size=MAX_BODY)
    for part in (Conversations, Responses, ChatCompletions, Threads, Runs, Files, Control):
        app.add_routes(part(fake).routes())
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        fake.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield fake
    finally:
        await fake.aclose()
        await runner.cleanup()
