"""Events of Slack Connect channels while Slack, or the data of one of the workspaces, is down."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.errors import CircuitOpen, DependencyDown, StoreUnavailable
from bot.slack.client import GuardedClient, TokenRefused, Uncertain
from bot.slack.delivery_notes import DeliveryNotes
from bot.slack.dispatch import Dispatcher
from bot.slack.shared_channels import SharedChannels
from bot.slack.workspace_app import WorkspaceApp
from bot.slack.workspaces import PerWorkspace, Workspaces
from bot.store import Circuits

TEAMS = ("T1", "T2", "T3")
BODY = {
    "type": "event_callback",
    "event_id": "Ev1",
    "team_id": "T1",
    "is_ext_shared_channel": True,
    "authorizations": [{"team_id": "T1", "user_id": "B", "is_bot": True}],
    "event": {"type": "message", "channel": "C1", "user": "U1", "text": "hi", "ts": "1.000001"},
}


class Slack:
    """Three workspaces that share a channel. `errors` are what a lookup raises, by workspace."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors

    async def find(self, id: str) -> Any:
        if isinstance(self.errors.get(id), StoreUnavailable):
            raise self.errors[id]
        return self.workspace(id)

    def workspace(self, id: str) -> Any:
        async def answer(value: Any) -> Any:
            if id in self.errors:
                raise self.errors[id]
            return value

        channels = SimpleNamespace(
            teams=lambda _: answer(frozenset(TEAMS)), is_in=lambda _: answer(True)
        )
        client = GuardedClient(cast(Circuits, None), f"slack:token@{id}")
        identity = SimpleNamespace(team_id=id, enterprise_id="", user_id=f"U{id}")
        return SimpleNamespace(id=id, channels=channels, client=client, identity=identity)


@pytest.mark.parametrize(
    ("team", "error", "found", "is_complete"),
    [
        ("T2", Uncertain("slack_http_500"), ["T1", "T3"], False),
        ("T2", DependencyDown("slack_unreachable", certain=True), ["T1", "T3"], False),
        (
            "T2",
            CircuitOpen("slack_http_500", dependency="slack:conversations"),
            ["T1", "T3"],
            False,
        ),
        ("T2", StoreUnavailable("the shard is down"), ["T1", "T3"], False),
        ("T2", TokenRefused("slack_token_revoked", certain=True), ["T1", "T3"], True),
        ("T2", CircuitOpen("slack_x", dependency="slack:token@T2"), ["T1", "T3"], True),
        ("T1", Uncertain("slack_http_500"), ["T1"], False),
        ("T1", TokenRefused("slack_token_revoked", certain=True), ["T1"], True),
    ],
)
async def test_slack_delivers_again_unless_a_bot_could_not_reply_anyway(
    team: str, error: Exception, found: list[str], is_complete: bool
) -> None:
    slack = Slack(**{team: error})
    shared = SharedChannels(cast(Workspaces, slack))
    sharing = await shared.find(slack.workspace("T1"), BODY)
    assert [each.id for each in sharing.workspaces] == found
    assert sharing.is_complete is is_complete


class Apps:
    """The apps of the workspaces; each notes in `reached` that it got a request."""

    def __init__(self, slack: Slack, statuses: dict[str, int]) -> None:
        self.find_workspace = slack.find
        self.statuses = statuses
        self.reached: list[str] = []

    def at(self, workspace: Any, id: str) -> Any:
        async def dispatch(_: AsyncBoltRequest) -> BoltResponse:
            self.reached.append(id)
            return BoltResponse(status=self.statuses.get(id, 200))

        return SimpleNamespace(
            is_our_own=lambda _: False, is_mentioned=lambda _: False, async_dispatch=dispatch
        )


@pytest.mark.parametrize(("failing", "status"), [(("T1",), 500), (("T2",), 500), ((), 200)])
async def test_a_workspace_that_fails_does_not_hold_up_the_others(
    failing: tuple[str, ...], status: int
) -> None:
    slack = Slack()
    apps = Apps(slack, dict.fromkeys(failing, 500))
    notes = cast(DeliveryNotes, SimpleNamespace(accepted=lambda: None))
    shared = SharedChannels(cast(Workspaces, slack))
    dispatcher = Dispatcher(cast(PerWorkspace[WorkspaceApp], apps), notes, shared=shared)
    response = await dispatcher.async_dispatch(AsyncBoltRequest(body=BODY, mode="socket_mode"))
    assert response.status == status
    assert apps.reached == list(TEAMS)
