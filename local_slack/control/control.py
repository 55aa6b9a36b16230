"""The control API: actions of people, state, faults and the feed of changes, over HTTP.

Every route is under /_control, speaks JSON and needs the workspace's control token.
It is not part of Slack.
"""

import base64
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from local_slack.control.guard import Handler, PageGuard
from local_slack.control.markdown import with_nodes
from local_slack.delivery.delivery import Delivery
from local_slack.local_slack import LocalSlack
from local_slack.seed import add_person
from local_slack.traces import read_trace
from local_slack.workspace.agents import thread_json
from local_slack.workspace.changes import Change
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json, Message
from local_slack.workspace.shapes import channel_json, message_json, user_json
from local_slack.workspace.views import stack, view_for_page

ACTS = frozenset(
    [
        "says",
        "forwards",
        "posts",
        "edits",
        "deletes",
        "reacts",
        "unreacts",
        "joins",
        "leaves",
        "invites",
        "slash",
        "shortcut",
        "clicks",
        "clicks_in_view",
        "submits",
        "closes",
        "opens_home",
        "looks_at",
        "stops",
        "dm",
    ]
)


def add_routes(app: web.Application, slack: LocalSlack) -> None:
    control = Control(slack)
    for verb, path, handler in (
        ("GET", "/state", control.state),
        ("POST", "/acts", control.act),
        ("GET", "/faults", control.faults),
        ("PUT", "/faults", control.set_faults),
        ("GET", "/log", control.log),
        ("GET", "/steps", control.steps),
        ("POST", "/traces", control.trace),
        ("POST", "/switches/{name}", control.press),
        ("POST", "/people", control.add_person),
        ("POST", "/workspaces", control.add_workspace),
        ("GET", "/changes", control.changes),
    ):
        app.router.add_route(verb, f"/_control{path}", control.guarded(handler))


class Control:
    """The handlers of the control API."""

    def __init__(self, slack: LocalSlack) -> None:
        self._slack = slack
        self._guard = PageGuard(slack)

    def guarded(self, handler: Handler) -> Handler:
        """Require the token, this server's address, and no foreign origin."""

        async def guard(request: web.Request) -> web.StreamResponse:
            refusal = self._guard.refuse(request)
            if refusal is not None:
                return refusal
            return await handler(request)

        return guard

    async def state(self, request: web.Request) -> web.Response:
        return web.json_response(state_json(self._slack))

    async def act(self, request: web.Request) -> web.Response:
        """`{"user": "alice", "act": "says", "args": {"channel": "#general", "text": "hi"}}`"""
        try:
            body = await request.json()
            name, args = body["act"], dict(body.get("args") or {})
            if name not in ACTS:
                raise KeyError(name)
            if "files" in args:
                args["files"] = {n: base64.b64decode(c) for n, c in args["files"].items()}
            names = args.pop("names", ())  # of a group DM
            result = getattr(self._slack.user(body["user"]), name)(*names, **args)
            value = await result if isinstance(result, Awaitable) else result
        except SlackError as error:
            return web.json_response({"ok": False, "error": error.code}, status=400)
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"ok": False, "error": f"invalid act: {error}"}, status=400)
        return web.json_response({"ok": True, "result": _result(value)})

    async def faults(self, request: web.Request) -> web.Response:
        return web.json_response(self._slack.faults.as_json())

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            self._slack.faults.update(await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"ok": False, "error": str(error)}, status=400)
        return web.json_response(self._slack.faults.as_json())

    async def log(self, request: web.Request) -> web.Response:
        """Web API calls and deliveries so far."""
        calls = [call.as_json() for call in self._slack.calls]
        deliveries = [delivery.as_json() for delivery in self._slack.deliveries]
        return web.json_response({"calls": calls, "deliveries": deliveries})

    async def steps(self, request: web.Request) -> web.Response:
        """Everything reported for the thread `?channel=C…&thread_ts=…`, in order."""
        try:
            steps = self._slack.steps(request.query["channel"], request.query["thread_ts"])
        except (KeyError, SlackError) as error:
            return web.json_response({"ok": False, "error": str(error)}, status=400)
        return web.json_response({"steps": steps})

    async def trace(self, request: web.Request) -> web.Response:
        """Report a step inside the app; the body has the fields of `Trace`, with `at` in real
        time."""
        try:
            self._slack.trace(**dict(read_trace(await request.json())))
        except (AttributeError, TypeError, ValueError) as error:
            return web.json_response({"ok": False, "error": str(error)}, status=400)
        return web.json_response({"ok": True})

    async def press(self, request: web.Request) -> web.Response:
        """Press one of the app's buttons."""
        switch = self._slack.switches.get(request.match_info["name"])
        if switch is None:
            return web.json_response({"ok": False, "error": "no such switch"}, status=404)
        await switch.press()
        return web.json_response({"ok": True})

    async def add_person(self, request: web.Request) -> web.Response:
        """`{"name": "gina", "role": "guest"}`: a new person, in all public channels."""
        return await self._add(request, self._new_person)

    async def add_workspace(self, request: web.Request) -> web.Response:
        """`{"name": "Acme"}`: a new workspace, in which the app is not installed yet."""
        return await self._add(request, self._new_workspace)

    async def _add(
        self, request: web.Request, add: Callable[[Json], Awaitable[str]]
    ) -> web.Response:
        try:
            result = await add(await request.json())
        except SlackError as error:
            return web.json_response({"ok": False, "error": error.code}, status=400)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return web.json_response({"ok": False, "error": f"invalid: {error}"}, status=400)
        return web.json_response({"ok": True, "result": result})

    async def _new_person(self, body: Json) -> str:
        return add_person(self._slack, str(body["name"]), str(body.get("role", "member"))).id

    async def _new_workspace(self, body: Json) -> str:
        if self._slack.added is None:
            raise SlackError("one_workspace_only")
        added = await self._slack.added.add(str(body["name"]))
        return added.workspace.team_id

    async def changes(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events; `?after=N` or Last-Event-ID resumes after change N."""
        after = request.headers.get("Last-Event-ID") or request.query.get("after")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        subscription = self._slack.workspace.changes.subscribe(int(after) if after else None)
        async with contextlib.aclosing(subscription) as feed:
            with contextlib.suppress(ConnectionResetError):  # the client has disconnected
                async for change in feed:
                    data = json.dumps(_shown(change))
                    frame = f"id: {change.number}\nevent: {change.kind}\ndata: {data}\n\n"
                    await response.write(frame.encode())
        return response


def state_json(slack: LocalSlack) -> Json:
    """The state for a page, and the number of the last change in it."""
    workspace = slack.workspace
    slack.expire()
    return {
        "last_change": workspace.changes.last_number,
        "team": {
            "id": workspace.team_id,
            "name": workspace.team_name,
            "url": workspace.url,
        },
        "bot": user_json(workspace, workspace.bot),
        "users": [user_json(workspace, user) for user in workspace.users.values()],
        "channels": [
            channel_json(workspace, channel)
            | {"name": channel.name, "type": channel.type, "members": channel.members}
            for channel in workspace.channels.values()
        ],
        "messages": {
            channel_id: [with_nodes(message_json(workspace, m)) for m in stored.values()]
            for channel_id, stored in workspace.messages.items()
        },
        "ephemerals": [
            with_nodes(message_json(workspace, message))
            | {"channel": message.channel_id, "visible_to": message.visible_to}
            for message in workspace.ephemerals
        ],
        "streaming": [list(key) for key in workspace.streaming],
        "agent_threads": [thread_json(thread) for thread in workspace.agent_threads.values()],
        "views": [
            view_for_page(workspace, view)
            for user_id in workspace.users
            for view in stack(workspace, user_id)
        ],
        "homes": {
            user_id: view_for_page(workspace, workspace.views[view_id])
            for user_id, view_id in workspace.homes.items()
        },
        "manifest": slack.manifest,
        "switches": [switch.as_json() for switch in slack.switches.values()],
        "pages": [page.as_json() for page in slack.pages.values()],
        "workspaces": slack.added.listed() if slack.added else [],
        "events_url": slack.events_url,
        "socket_connections": slack.sockets.connections,
    }


def _shown(change: Change) -> Json:
    """A change with the Markdown of its message parsed."""
    shown = change.as_json()
    if "message" in change.data:
        shown["data"] = change.data | {"message": with_nodes(change.data["message"])}
    return shown


def _result(value: Any) -> Any:
    if isinstance(value, Delivery):
        return value.as_json() | {"body": value.body}
    return asdict(value) if isinstance(value, Message) else value
