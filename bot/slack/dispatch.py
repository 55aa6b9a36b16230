"""Every request from Slack, over both transports, to the app of the workspace that it is from."""

import time
from typing import Any

from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.errors import Retry, StoreUnavailable
from bot.slack.delivery_notes import DeliveryNotes
from bot.slack.lifecycle import Lifecycle
from bot.slack.origin import installation
from bot.slack.shapes import is_well_formed
from bot.slack.workspace_app import WorkspaceApp
from bot.slack.workspaces import PerWorkspace
from bot.telemetry import metrics, trace
from bot.telemetry.log import log


class Dispatcher:
    """Hands requests to the workspaces' apps, and measures them from request to response."""

    def __init__(
        self,
        apps: PerWorkspace[WorkspaceApp],
        notes: DeliveryNotes,
        lifecycle: Lifecycle | None = None,
    ) -> None:
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
        try:
            if await self._is_lifecycle(id, req.body):
                return BoltResponse(status=200)
            app = await self._apps.find(id)
        except (StoreUnavailable, Retry) as error:
            log.error("request_not_dispatched", team=id, error=str(error)[:200])
            return BoltResponse(status=500, body={"error": "try again"})
        if app is None:
            self._notes.not_installed(id)
            return BoltResponse(status=200)
        if app.is_our_own(req.body.get("event")):
            return BoltResponse(status=200)
        with trace.span("slack request", kind="server", slack_transport=req.mode):
            response = await app.async_dispatch(req)
        seconds = time.perf_counter() - began
        metrics.acks.labels(req.mode, response.status).observe(seconds)
        return response

    async def _is_lifecycle(self, id: str, body: dict[str, Any]) -> bool:
        if self._lifecycle is None or body.get("type") != "event_callback":
            return False
        return await self._lifecycle.handle(id, body)


def _answer_slack(body: dict[str, Any]) -> BoltResponse | None:
    """The response to Slack's own checks of the address, which name no workspace."""
    if body.get("type") == "url_verification":
        return BoltResponse(status=200, body={"challenge": body.get("challenge")})
    return BoltResponse(status=200) if body.get("ssl_check") == "1" else None
