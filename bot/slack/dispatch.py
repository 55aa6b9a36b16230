"""Every request from Slack, over both transports, to the app of the workspace that it is from."""

import json
import time
from collections.abc import Sequence
from typing import Any

from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.errors import Retry, StoreUnavailable
from bot.slack.delivery_notes import DeliveryNotes
from bot.slack.lifecycle import Lifecycle
from bot.slack.origin import installation
from bot.slack.receiving import Receiving
from bot.slack.shapes import is_well_formed
from bot.slack.shared_channels import SharedChannels, in_name_of
from bot.slack.unavailable import report_unavailable
from bot.slack.workspace_app import WorkspaceApp
from bot.slack.workspaces import PerWorkspace, Workspace
from bot.telemetry import metrics, trace
from bot.telemetry.log import log


class Dispatcher:
    """Hands requests to the workspaces' apps, and measures them from request to response."""

    def __init__(
        self,
        apps: PerWorkspace[WorkspaceApp],
        notes: DeliveryNotes,
        lifecycle: Lifecycle | None = None,
        shared: SharedChannels | None = None,
        receiving: Receiving | None = None,
    ) -> None:
        self._receiving = receiving or Receiving()
        self._shared = shared
        self._apps = apps
        self._notes = notes
        self._lifecycle = lifecycle

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """The response to a request; 500 lets Slack deliver an event again.

        The bot's own messages end here, and requests of workspaces that have not installed it.
        """
        began = time.perf_counter()
        self._notes.accepted()
        if not is_well_formed(req.body):
            return BoltResponse(status=400, body={"error": "malformed body"})
        if answer := _answer_slack(req.body):
            return answer
        id = installation(req.context)
        with self._receiving.request(id):
            return await self._dispatch(req, id, began)

    async def _dispatch(self, req: AsyncBoltRequest, id: str, began: float) -> BoltResponse:
        try:
            if await self._is_lifecycle(id, req.body):
                return BoltResponse(status=200)
            workspace = await self._apps.find_workspace(id)
        except StoreUnavailable as error:
            report_unavailable(error)
            return BoltResponse(status=500, body={"error": "try again"})
        except Retry as error:
            log.error("request_not_dispatched", team=id, error=str(error)[:200])
            return BoltResponse(status=500, body={"error": "try again"})
        if workspace is None:
            self._notes.not_installed(id)
            return BoltResponse(status=200)
        app, is_shared = self._apps.at(workspace, id), bool(req.body.get("is_ext_shared_channel"))
        if not is_shared and app.is_our_own(req.body.get("event")):
            return BoltResponse(status=200)
        with trace.span("slack request", kind="server", slack_transport=req.mode):
            if self._shared is not None and is_shared:
                response = await self._dispatch_shared(self._shared, workspace, app, req)
            else:
                response = await _dispatch_to(app, req)
        seconds = time.perf_counter() - began
        metrics.acks.labels(req.mode, response.status).observe(seconds)
        return response

    async def _dispatch_shared(
        self, shared: SharedChannels, named: Workspace, app: WorkspaceApp, req: AsyncBoltRequest
    ) -> BoltResponse:
        """To the bots that a message mentions, else to all that are in its channel.

        A failure of one bot's listeners, such as of its shard, holds up no other bot.
        """
        sharing = await shared.find(named, req.body)
        failed: BoltResponse | None = None
        for each in self._addressed(sharing.workspaces, req.body):
            if each is named:
                response = await _dispatch_to(app, req)
            else:
                other = self._apps.at(each, each.id)
                response = await _dispatch_to(other, in_name_of(each, req))
            if response.status >= 300:
                failed = response
        if failed is None and not sharing.is_complete:
            failed = BoltResponse(status=500, body={"error": "try again"})
        return failed or BoltResponse(status=200)

    def _addressed(self, all_: Sequence[Workspace], body: dict[str, Any]) -> Sequence[Workspace]:
        event = body.get("event") or {}
        if mentioned := [each for each in all_ if self._apps.at(each, each.id).is_mentioned(event)]:
            return mentioned
        if event.get("type") != "app_mention":
            return all_
        # The mention is somewhere inside, as in an attachment.
        return [each for each in all_ if each.identity.user_id in json.dumps(event)]

    async def _is_lifecycle(self, id: str, body: dict[str, Any]) -> bool:
        if self._lifecycle is None or body.get("type") != "event_callback":
            return False
        return await self._lifecycle.handle(id, body)


async def _dispatch_to(app: WorkspaceApp, req: AsyncBoltRequest) -> BoltResponse:
    if app.is_our_own(req.body.get("event")):
        return BoltResponse(status=200)
    return await app.async_dispatch(req)


def _answer_slack(body: dict[str, Any]) -> BoltResponse | None:
    """The response to Slack's own checks of the address, which name no workspace."""
    if body.get("type") == "url_verification":
        return BoltResponse(status=200, body={"challenge": body.get("challenge")})
    return BoltResponse(status=200) if body.get("ssl_check") == "1" else None
