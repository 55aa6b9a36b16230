"""The Web API over HTTP: /api/<method> by POST and GET, with tokens, scopes, faults, rates."""

import json
import logging
import time
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from local_slack.api.arguments import Arguments, read_arguments
from local_slack.api.methods import METHODS
from local_slack.api.methods.call import Call, Method
from local_slack.api.rates import POSTING, Rates
from local_slack.delivery.faults import Faults, MethodFault
from local_slack.delivery.interactions import Interactions
from local_slack.delivery.socket_mode import SocketMode
from local_slack.workspace.agents import expire_agents
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json
from local_slack.workspace.streams import expire_streams
from local_slack.workspace.workspace import Workspace

KEPT = 20_000
DROPS = ("drop_before", "drop_after", "hang")
OF_A_WORKSPACE = frozenset(
    {"conversations.list", "users.conversations", "users.list", "usergroups.list"}
)
"""Methods that need `team_id` with the token of an organization."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """The credentials of the app."""

    bot: str
    app: str
    signing_secret: str
    config: str = "xoxe.xoxp-local-slack"


@dataclass
class CallRecord:
    """One call without its token, and its response.

    `error` is "ok", Slack's error code, or "faulted" if a fault prevented the call; `dropped`: the
    app got no response.
    """

    number: int
    method: str
    args: Json
    at: float
    status: int = 200
    error: str = "ok"
    ms: float = 0.0
    dropped: bool = False
    answer: Json = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.error == "ok" and not self.dropped

    def as_json(self) -> Json:
        return vars(self).copy()


class WebApi:
    """Answers calls; `scopes` None means that all were granted except chat:write.public."""

    def __init__(
        self,
        workspace: Workspace,
        tokens: Tokens,
        faults: Faults,
        rates: Rates,
        sockets: SocketMode,
        interactions: Interactions,
    ) -> None:
        self.scopes: frozenset[str] | None = None
        self.events: frozenset[str] | None = None
        self.events_url: str | None = None
        self.base_url = ""
        self.more_tokens: frozenset[str] = frozenset()
        """Bot tokens that are valid beside the first, as while one replaces another."""
        self.calls: deque[CallRecord] = deque(maxlen=KEPT)
        self._number = 0
        self._workspace = workspace
        self._tokens = tokens
        self._faults = faults
        self._rates = rates
        self._sockets = sockets
        self._interactions = interactions

    def is_bot_token(self, token: str) -> bool:
        """Whether it is a valid bot token."""
        return token == self._tokens.bot or token in self.more_tokens

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The handler of /api/{method}."""
        name = request.match_info["method"]
        started = time.perf_counter()
        args, broken = await _read(request)
        fault = self._faults.take(name)
        record = self._record(name, args)
        record.dropped = fault is not None and fault.kind in DROPS
        if fault is not None and fault.kind == "hang":
            await self._faults.wait_until_cleared()
        try:
            if broken is not None:
                raise broken
            response = _meet(fault, name) or self._answer(request, record, args)
        except SlackError as error:
            record.error = error.code
            record.answer = {"ok": False, "error": error.code} | error.details
            response = _respond(record.answer, self._scope_headers(name))
        if not record.answer:
            record.error = "faulted" if response.status != 429 else "ratelimited"
        record.ms = round((time.perf_counter() - started) * 1000, 2)
        record.status = response.status
        self._workspace.changes.publish("call", **record.as_json())
        if record.dropped and request.transport is not None:
            request.transport.abort()
        return response

    def _record(self, name: str, args: Arguments) -> CallRecord:
        self._number += 1
        shown = {key: value for key, value in args.values.items() if key != "token"}
        record = CallRecord(self._number, name, shown, self._workspace.clock.now())
        self.calls.append(record)
        return record

    def _answer(self, request: web.Request, record: CallRecord, args: Arguments) -> web.Response:
        method = self._authorize(request, record.method, args)
        wait = self._rates.check(record.method, method.tier, args.get("channel"))
        if wait is not None:
            return _rate_limited(record.method, wait)
        record.answer = {"ok": True} | self._run(record.method, method, args)
        return _respond(record.answer, self._scope_headers(record.method))

    def _authorize(self, request: web.Request, name: str, args: Arguments) -> Method:
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ").strip() or str(args.values.get("token") or "")
        if name == "api.test":
            return method
        if not token:
            raise SlackError("not_authed")
        kinds = {
            self._tokens.bot: "bot",
            self._tokens.app: "app",
            self._tokens.config: "config",
        } | dict.fromkeys(self.more_tokens, "bot")
        if token not in kinds:
            raise SlackError("invalid_auth")
        if method.token not in ("any", kinds[token]):
            raise SlackError("not_allowed_token_type")
        return method

    def _run(self, name: str, method: Method, args: Arguments) -> Json:
        call = Call(
            self._workspace,
            self._interactions,
            args,
            self.scopes,
            self.events,
            self.events_url,
            self.base_url,
            self._sockets.issue_ticket,
            self._tokens.signing_secret,
        )
        expire_streams(self._workspace)
        expire_agents(self._workspace)
        if method.scopes:
            call.demand_scope(*method.scopes)
        if self._workspace.org_install and name in OF_A_WORKSPACE and not args.get("team_id"):
            raise SlackError("missing_argument", needed="team_id")
        answer = method.run(call)
        if call.warnings:
            answer["warning"] = ",".join(call.warnings)
            metadata = answer.setdefault("response_metadata", {})
            metadata["warnings"] = call.warnings
        return answer

    def is_granted(self, scope: str) -> bool:
        """Whether the app has a scope now."""
        return self.scopes is None or scope in self.scopes

    def _scope_headers(self, name: str) -> dict[str, str]:
        if self.scopes is None or name not in METHODS:
            return {}
        return {
            "X-OAuth-Scopes": ",".join(sorted(self.scopes)),
            "X-Accepted-OAuth-Scopes": ",".join(METHODS[name].scopes),
        }


async def _read(request: web.Request) -> tuple[Arguments, SlackError | None]:
    try:
        return await read_arguments(request), None
    except SlackError as error:
        return Arguments({}), error


def _meet(fault: MethodFault | None, name: str) -> web.Response | None:
    """The response of a fault that prevents the call."""
    if fault is None or fault.kind == "drop_after":
        return None
    if fault.kind == "refuse":
        raise SlackError(fault.error)
    if fault.kind == "rate_limit":
        return _rate_limited(name, fault.retry_after)
    return web.Response(
        status=fault.status, text="upstream connect error", content_type="text/html"
    )


def _rate_limited(name: str, retry_after: float) -> web.Response:
    error = "rate_limited" if name in POSTING else "ratelimited"
    headers = {"Retry-After": f"{retry_after:g}"}
    return web.json_response({"ok": False, "error": error}, status=429, headers=headers)


def _respond(answer: Json, headers: dict[str, str]) -> web.Response:
    text = json.dumps(answer, ensure_ascii=False)
    return web.Response(text=text, content_type="application/json", headers=headers)
