"""Workspaces that a person adds on the page, each with a page of its own.

The app is the one of the first workspace: it keeps its connection and its address. It reaches an
added workspace only once it was installed there, through Slack's OAuth pages.
"""

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import web

from local_slack.api.file_server import FileServer
from local_slack.api.web_api import Tokens
from local_slack.control.web_page import page_url
from local_slack.distribution import Distribution, Token
from local_slack.local_slack import LocalSlack
from local_slack.server import files_of, open_workspace
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json

MOST = 8
NAME_LENGTH = 30


class AddedWorkspaces:
    """The workspaces beside `first`. Use as an asynchronous context manager."""

    def __init__(
        self, first: LocalSlack, callback_url: str, install_url: str, events: Iterable[str]
    ) -> None:
        """`callback_url` is where the app takes the OAuth code, `install_url` its own page with the
        button; `events` are those of the app."""
        self.distribution = Distribution(
            [callback_url], rotation=False, signing_secret=first.signing_secret, asks=True
        )
        self.distribution.on_install = self._connect
        self._first = first
        self._install_url = install_url
        self._events = frozenset(events)
        self._stack = contextlib.AsyncExitStack()
        first.added = self

    async def __aenter__(self) -> "AddedWorkspaces":
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._stack.aclose()

    async def add(self, name: str) -> LocalSlack:
        """A new workspace, in which the app is not installed. Raises SlackError."""
        name = " ".join(name.split())
        known = self.distribution.workspaces
        if not 0 < len(name) <= NAME_LENGTH or name in {each["name"] for each in self.listed()}:
            raise SlackError("invalid_name")
        if len(known) >= MOST:
            raise SlackError("too_many_workspaces")
        slack = await self._open(None, 0)
        slack.workspace.team_id = f"T0ADDED{len(known) + 1}"
        slack.workspace.team_name, slack.workspace.domain = name, f"local-{len(known) + 1}"
        slack.user("alice").user.is_admin = True
        self._keep(slack)
        return slack

    def find(self, team_id: str) -> LocalSlack:
        """The workspace with this id; the first one for any other id."""
        return self.distribution.workspaces.get(team_id, self._first)

    def listed(self) -> list[Json]:
        """All workspaces for the page, the first one first."""
        return [
            {
                "id": slack.workspace.team_id,
                "name": slack.workspace.team_name,
                "page": page_url(slack),
                "installed": slack is self._first or self._is_installed(slack),
                "install": f"{self._install_url}?team={slack.workspace.team_id}",
            }
            for slack in self._everyone()
        ]

    # What the app asks of the address of the first workspace

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A method of the Web API, in the workspace of its token."""
        header = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        given = header or str((await request.post()).get("token") or "")
        known = given in self.distribution.tokens
        if known or request.match_info["method"] == "oauth.v2.access":
            return await self.distribution.call(request)
        return await self._first.web_api.serve(request)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """A file, whose path begins with the id of its workspace."""
        return await self._files(request).download(request)

    def _files(self, request: web.Request) -> FileServer:
        return files_of(self.find(request.match_info["file"].partition("-")[0]))

    # State

    def snapshot(self) -> list[Json]:
        """All added workspaces as JSON, for `restore`."""
        return [
            {
                "state": slack.snapshot(),
                "port": int(slack.base_url.rpartition(":")[2]),
                "page_token": slack.control_token,
                "tokens": [
                    value
                    for value, token in self.distribution.tokens.items()
                    if token.team_id == team_id and token.state == "valid"
                ],
            }
            for team_id, slack in self.distribution.workspaces.items()
        ]

    async def restore(self, kept: list[Json]) -> None:
        """The workspaces of a snapshot, at their old addresses if those are free. Raises ValueError
        for a damaged snapshot."""
        try:
            for each in kept:
                await self._restore(each)
        except (KeyError, TypeError) as error:
            raise ValueError(f"the added workspaces are damaged: {error}") from None

    async def _restore(self, kept: Json) -> None:
        try:
            slack = await self._open(kept["state"], kept["port"])
        except OSError:
            slack = await self._open(kept["state"], 0)
        slack.control_token = kept["page_token"]
        self._keep(slack)
        for value in kept["tokens"]:
            self.distribution.tokens[value] = Token(slack.workspace.team_id)
            slack.web_api.more_tokens |= {value}
            self._connect(slack.workspace.team_id)

    @property
    def changes(self) -> int:
        """A number that grows with each change of an added workspace."""
        everyone = self.distribution.workspaces.values()
        return sum(slack.workspace.changes.last_number for slack in everyone)

    # Helpers

    async def _open(self, state: Json | None, port: int) -> LocalSlack:
        first = self._first
        tokens = Tokens(secrets.token_hex(8), secrets.token_hex(8), first.signing_secret)
        options: dict[str, Any] = {"scopes": first.web_api.scopes, "commands": first.commands}
        slack = await self._stack.enter_async_context(
            open_workspace(port=port, state=state, tokens=tokens, events=(), **options)
        )
        slack.manifest, slack.added = first.manifest, self
        slack.switches = first.switches
        # Only the address of the app's API is Slack's own to the app, also for files.
        slack.workspace.files_url = first.base_url
        slack.deliveries_to_app.transport = first.deliveries_to_app.transport
        return slack

    def _keep(self, slack: LocalSlack) -> None:
        self.distribution.workspaces[slack.workspace.team_id] = slack
        self._publish()

    def _connect(self, team_id: str) -> None:
        """Deliver the workspace's events from now on."""
        self.distribution.workspaces[team_id].deliveries_to_app.events = self._events
        self._publish()

    def _is_installed(self, slack: LocalSlack) -> bool:
        team_id = slack.workspace.team_id
        return any(
            token.team_id == team_id and token.state == "valid"
            for token in self.distribution.tokens.values()
        )

    def _publish(self) -> None:
        """Notify all open pages."""
        for slack in self._everyone():
            slack.workspace.changes.publish("workspaces", workspaces=self.listed())

    def _everyone(self) -> Iterator[LocalSlack]:
        yield self._first
        yield from self.distribution.workspaces.values()
