"""The routes of Assistants v2 runs and their steps."""

from typing import Any

from aiohttp import web
from openai.types.beta import thread_create_and_run_params
from openai.types.beta.threads import run_create_params, run_submit_tool_outputs_params

from .answers import Json, Prompt
from .bare import reply
from .errors import invalid, not_found
from .limits import too_long
from .pages import page
from .run_work import RunWork
from .sse import send_events
from .state import BODY, State, Thread
from .threads import (
    active_run,
    find_assistant,
    find_thread,
    message_text,
    must_be_v2,
    new_message,
    open_thread,
)

MAX_INSTRUCTIONS = 256_000


class Runs:
    """Handlers over one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        runs, one = "/v1/threads/{thread_id}/runs", "/v1/threads/{thread_id}/runs/{run_id}"
        return [
            web.post("/v1/threads/runs", self.create_with_thread),
            web.post(runs, self.create),
            web.get(runs, self.list_runs),
            web.get(one, self.retrieve),
            web.post(one + "/cancel", self.cancel),
            web.post(one + "/submit_tool_outputs", self.submit),
            web.get(one + "/steps", self.list_steps),
            web.get(one + "/steps/{step_id}", self.retrieve_step),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        thread = find_thread(self._state, request)
        body = self._state.check_body(
            request[BODY], run_create_params.RunCreateParams, "CreateRunRequest"
        )
        return await self._start(request, thread, body)

    async def create_with_thread(self, request: web.Request) -> web.StreamResponse:
        must_be_v2(self._state, request)
        if self._state.options.bare:
            raise not_found("Not Found")
        body = self._state.check_body(
            request[BODY],
            thread_create_and_run_params.ThreadCreateAndRunParams,
            "CreateThreadAndRunRequest",
        )
        find_assistant(self._state, body["assistant_id"])
        thread = open_thread(self._state, body.get("thread") or {})
        return await self._start(request, thread, body)

    async def list_runs(self, request: web.Request) -> web.Response:
        thread = find_thread(self._state, request)
        runs = [self._state.runs[run_id].body for run_id in thread.runs]
        return reply(self._state, page(runs, request.query))

    async def retrieve(self, request: web.Request) -> web.Response:
        run = self._find(request)
        run.poll()
        return reply(self._state, run.body)

    async def cancel(self, request: web.Request) -> web.Response:
        run = self._find(request)
        if run.is_over or run.status == "cancelling":
            raise invalid(f"Cannot cancel run with status '{run.status}'.")
        if self._state.options.cancels == "late":
            run.finish()
        elif self._state.options.cancels:
            run.cancel()
        return reply(self._state, run.body)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        run = self._find(request)
        body = self._state.check_body(
            request[BODY],
            run_submit_tool_outputs_params.RunSubmitToolOutputsParams,
            "SubmitToolOutputsRunRequest",
            in_path="thread_id",
        )
        outputs = _match_outputs(run, body["tool_outputs"])
        answer = self._state.decide(self._prompt(run.thread, run.body, outputs))
        run.go_on(answer, streams=bool(body.get("stream")))
        return await self._reply(request, run)

    async def list_steps(self, request: web.Request) -> web.Response:
        return reply(self._state, page(self._find(request).steps, request.query))

    async def retrieve_step(self, request: web.Request) -> web.Response:
        step_id = request.match_info["step_id"]
        for step in self._find(request).steps:
            if step["id"] == step_id:
                return reply(self._state, step)
        raise not_found(f"No run step found with id '{step_id}'.")

    async def _start(self, request: web.Request, thread: Thread, body: Json) -> web.StreamResponse:
        assistant = find_assistant(self._state, body["assistant_id"])
        self._state.check_model(body.get("model"))
        _check_instructions(body)
        active = active_run(self._state, thread)
        if active is not None and self._state.options.lock:
            raise invalid(f"Thread {thread.id} already has an active run {active.id}.")
        added = [
            new_message(self._state, thread, message)
            for message in body.get("additional_messages") or []
        ]
        thread.messages.extend(added)
        run_body = self._new_body(thread, assistant, body)
        answer = self._state.decide(self._prompt(thread, run_body, {}))
        counted = sum(len(message_text(message["content"])) for message in thread.messages) // 4 + 1
        run = RunWork(
            self._state,
            answer,
            run_body,
            thread,
            streams=bool(body.get("stream")),
            prompt_tokens=counted,
        )
        self._state.runs[run.id] = run
        thread.runs.append(run.id)
        run.open()
        run.start()
        return await self._reply(request, run)

    async def _reply(self, request: web.Request, run: RunWork) -> web.StreamResponse:
        if run.streams:
            return await send_events(request, run.follow_batches(), ends_with_done=True)
        return reply(self._state, run.body)

    def _new_body(self, thread: Thread, assistant: Json, body: Json) -> Json:
        now = self._state.now()
        lifetime = self._state.options.run_lifetime
        instructions = body.get("instructions") or assistant["instructions"] or ""
        more = body.get("additional_instructions")
        return {
            "id": self._state.new_id("run"),
            "object": "thread.run",
            "created_at": now,
            "assistant_id": assistant["id"],
            "thread_id": thread.id,
            "status": "queued",
            "started_at": None,
            "expires_at": None if self._state.options.bare else int(now + lifetime),
            "cancelled_at": None,
            "failed_at": None,
            "completed_at": None,
            "required_action": None,
            "last_error": None,
            "incomplete_details": None,
            "model": body.get("model") or assistant["model"],
            "instructions": f"{instructions} {more}".strip() if more else instructions,
            "tools": body.get("tools") or assistant["tools"],
            "metadata": body.get("metadata") or {},
            "usage": None,
            "temperature": body.get("temperature", 1.0),
            "top_p": body.get("top_p", 1.0),
            "max_prompt_tokens": body.get("max_prompt_tokens"),
            "max_completion_tokens": body.get("max_completion_tokens"),
            "truncation_strategy": body.get("truncation_strategy")
            or {"type": "auto", "last_messages": None},
            "response_format": body.get("response_format") or "auto",
            "tool_choice": body.get("tool_choice") or "auto",
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
        }

    def _prompt(self, thread: Thread, run_body: Json, outputs: Json) -> Prompt:
        texts = [(m["role"], message_text(m["content"])) for m in thread.messages]
        return Prompt(
            protocol="assistants",
            body=run_body,
            conversation_id=thread.id,
            model=run_body["model"],
            instructions=run_body["instructions"],
            user_messages=tuple(text for role, text in texts if role == "user"),
            turn=1 + sum(role == "assistant" for role, _ in texts),
            outputs=outputs,
        )

    def _find(self, request: web.Request) -> RunWork:
        thread = find_thread(self._state, request)
        run_id = request.match_info["run_id"]
        run = self._state.runs.get(run_id)
        if not isinstance(run, RunWork) or run.thread is not thread:
            raise not_found(f"No run found with id '{run_id}'.")
        return run


def _match_outputs(run: RunWork, given: list[Any]) -> Json:
    if run.status != "requires_action":
        raise invalid(f'Runs in status "{run.status}" do not accept tool outputs.')
    calls = run.body["required_action"]["submit_tool_outputs"]["tool_calls"]
    wanted = {call["id"] for call in calls}
    outputs = {entry.get("tool_call_id"): entry.get("output", "") for entry in given}
    missing, unknown = sorted(wanted - set(outputs)), sorted(set(outputs) - wanted)
    if missing:
        raise invalid(f"Expected tool outputs for call_ids {wanted}, got {sorted(outputs)}.")
    if unknown:
        raise invalid(f"Tool outputs for unknown call_ids: {unknown}.")
    return outputs


def _check_instructions(body: Json) -> None:
    for name in ("instructions", "additional_instructions"):
        length = len(body.get(name) or "")
        if length > MAX_INSTRUCTIONS:
            raise too_long(name, MAX_INSTRUCTIONS, length)
