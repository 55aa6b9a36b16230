"""The routes of Assistants v2 threads and messages, and the check of the beta header."""

from typing import Any

from aiohttp import web
from openai.types.beta import thread_create_params, thread_update_params
from openai.types.beta.threads import message_create_params, message_update_params

from .answers import Answer, Json
from .bare import reply
from .errors import invalid, no_such_url, not_found
from .limits import check_metadata, too_long
from .pages import page
from .run_work import RunWork
from .state import BODY, State, Thread


class Threads:
    """Handlers over one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        one, messages = "/v1/threads/{thread_id}", "/v1/threads/{thread_id}/messages"
        return [
            web.get("/v1/assistants/{assistant_id}", self.retrieve_assistant),
            web.post("/v1/threads", self.create),
            web.get(one, self.retrieve),
            web.post(one, self.update),
            web.delete(one, self.delete),
            web.post(messages, self.create_message),
            web.get(messages, self.list_messages),
            web.get(messages + "/{message_id}", self.retrieve_message),
            web.post(messages + "/{message_id}", self.update_message),
            web.delete(messages + "/{message_id}", self.delete_message),
        ]

    async def retrieve_assistant(self, request: web.Request) -> web.Response:
        must_be_v2(self._state, request)
        return reply(self._state, find_assistant(self._state, request.match_info["assistant_id"]))

    async def create(self, request: web.Request) -> web.Response:
        must_be_v2(self._state, request)
        body = self._state.check_body(
            request[BODY] or {}, thread_create_params.ThreadCreateParams, "CreateThreadRequest"
        )
        return reply(self._state, open_thread(self._state, body).as_json())

    async def retrieve(self, request: web.Request) -> web.Response:
        return reply(self._state, find_thread(self._state, request).as_json())

    async def update(self, request: web.Request) -> web.Response:
        thread = find_thread(self._state, request)
        body = self._state.check_body(
            request[BODY], thread_update_params.ThreadUpdateParams, "ModifyThreadRequest"
        )
        thread.metadata = body.get("metadata") or {}
        return reply(self._state, thread.as_json())

    async def delete(self, request: web.Request) -> web.Response:
        thread = find_thread(self._state, request)
        self._state.deleted_threads[thread.id] = self._state.threads.pop(thread.id)
        for run_id in thread.runs:
            self._state.runs[run_id].finish(Answer(status="cancelled"))
        deleted = {"id": thread.id, "object": "thread.deleted", "deleted": True}
        return reply(self._state, deleted)

    async def create_message(self, request: web.Request) -> web.Response:
        thread = find_thread(self._state, request)
        body = self._state.check_body(
            request[BODY], message_create_params.MessageCreateParams, "CreateMessageRequest"
        )
        active = active_run(self._state, thread)
        if active is not None and self._state.options.lock:
            raise invalid(f"Can't add messages to {thread.id} while a run {active.id} is active.")
        message = new_message(self._state, thread, body)
        thread.messages.append(message)
        return reply(self._state, message)

    async def list_messages(self, request: web.Request) -> web.Response:
        messages = find_thread(self._state, request).messages
        run_id = request.query.get("run_id")
        if run_id is not None:
            messages = [message for message in messages if message["run_id"] == run_id]
        return reply(self._state, page(messages, request.query))

    async def retrieve_message(self, request: web.Request) -> web.Response:
        return reply(self._state, self._find_message(request))

    async def update_message(self, request: web.Request) -> web.Response:
        message = self._find_message(request)
        body = self._state.check_body(
            request[BODY],
            message_update_params.MessageUpdateParams,
            "ModifyMessageRequest",
            "thread_id",
        )
        message["metadata"] = body.get("metadata") or {}
        return reply(self._state, message)

    async def delete_message(self, request: web.Request) -> web.Response:
        message = self._find_message(request)
        self._state.threads[message["thread_id"]].messages.remove(message)
        deleted = {"id": message["id"], "object": "thread.message.deleted", "deleted": True}
        return reply(self._state, deleted)

    def _find_message(self, request: web.Request) -> Json:
        message_id = request.match_info["message_id"]
        for message in find_thread(self._state, request).messages:
            if message["id"] == message_id:
                return message
        raise not_found(f"No message found with id '{message_id}'.")


def must_be_v2(state: State, request: web.Request) -> None:
    """Refuses a request without the beta header, or all if there are no Assistants here."""
    if not state.options.assistants:
        raise no_such_url(request.method, request.path)
    if request.headers.get("OpenAI-Beta") != "assistants=v2":
        raise invalid(
            "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
            "Please try again by setting the header 'OpenAI-Beta: assistants=v2'.",
            code="invalid_beta",
        )


def find_assistant(state: State, assistant_id: str) -> Json:
    if assistant_id not in state.assistants:
        raise not_found(f"No assistant found with id '{assistant_id}'.")
    return state.assistants[assistant_id]


def find_thread(state: State, request: web.Request) -> Thread:
    must_be_v2(state, request)
    thread_id = request.match_info["thread_id"]
    if thread_id not in state.threads:
        raise not_found(f"No thread found with id '{thread_id}'.")
    return state.threads[thread_id]


def active_run(state: State, thread: Thread) -> RunWork | None:
    for run_id in thread.runs:
        run = state.runs[run_id]
        if isinstance(run, RunWork) and not run.is_over:
            return run
    return None


def open_thread(state: State, body: Json) -> Thread:
    check_metadata(body.get("metadata"))
    thread = Thread(
        state.new_id("thread"),
        body.get("metadata") or {},
        state.now(),
        body.get("tool_resources") or {},
    )
    thread.messages.extend(
        new_message(state, thread, message) for message in body.get("messages") or []
    )
    state.threads[thread.id] = thread
    return thread


def new_message(state: State, thread: Thread, body: Json) -> Json:
    """A message of a request, checked beyond its types; it is not yet in the thread."""
    check_metadata(body.get("metadata"))
    content = _content(body["content"])
    _check_content(state, content)
    now = state.now()
    return {
        "id": state.new_id("msg"),
        "object": "thread.message",
        "created_at": now,
        "thread_id": thread.id,
        "assistant_id": None,
        "run_id": None,
        "role": body["role"],
        "status": "completed",
        "completed_at": now,
        "incomplete_at": None,
        "incomplete_details": None,
        "content": content,
        "attachments": body.get("attachments") or [],
        "metadata": body.get("metadata") or {},
    }


def _content(given: Any) -> list[Json]:
    parts = [{"type": "text", "text": given}] if isinstance(given, str) else given
    return [
        {"type": "text", "text": {"value": part["text"], "annotations": []}}
        if part["type"] == "text"
        else part
        for part in parts
    ]


def _check_content(state: State, content: list[Json]) -> None:
    text_only = all(part["type"] == "text" for part in content)
    if text_only and not message_text(content):
        raise invalid("Message content must be non-empty.", param="content")
    length, limit = len(message_text(content)), state.options.max_message_chars
    if length > limit:
        raise too_long("content", limit, length)
    for part in content:
        file_id = part.get("image_file", {}).get("file_id")
        if file_id is not None and file_id not in state.files:
            raise not_found(f"No such File object: {file_id}", param="content")


def message_text(content: list[Json]) -> str:
    return "".join(part["text"]["value"] for part in content if part["type"] == "text")
