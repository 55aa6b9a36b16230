"""Every listener of the app has a row here: what a person without the right sends to it changes
nothing. The payloads are complete, and come as over a socket."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.models import Thread, encode
from bot.slack import approval_card as card
from bot.slack.answer.buttons import ADD_NOTE, AGAIN, FEEDBACK, STOP
from bot.slack.changes import ACTION as EDITED
from bot.slack.rights import Rights
from bot.slack.surfaces import account_code, channel_modal, feedback, home, workspace_modal
from bot.slack.surfaces.approvals import About
from bot.slack.surfaces.commands import all_commands
from bot.slack.surfaces.conversation_row import RESET as RESET_ROW
from bot.slack.surfaces.shortcuts import SHORTCUTS
from bot.slack.workspace_app import WorkspaceApp, build_app
from bot.store import Pending
from bot.tools.accounts import Accounts
from bot.tools.config import ToolsConfig, summarize
from local_slack.people import Person
from tests.fakes.openai import Call, calling
from tests.hostile.test_rights import place_with
from tests.tools.servers import open_http
from tests.world import PATIENCE, World

WRITE = calling(Call("s__write", '{"text": "x"}'))
CHANNEL = "#general"
MODEL = "gpt-of-mallory"

EVENTS = {
    "Listeners.app_mention": "test_rights: ask, reset, edit",
    "Listeners.message": "test_rights: ask, stop, reset, edit; deletions are everyone's right",
    "Listeners.agent_session_stopped": "test_rights: native_stop",
    "Listeners.app_home_opened": "changes nothing: greets, once",
    "Home.app_home_opened": "test_rights: export; shows the person's own data",
    "LateTranscripts.file_change": "has no author: revises a message whose own author is checked",
}
"""Events, which the other tests send through Slack."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Two threads of alice: one answered, one that waits for her approval. `mallory` has no right
    to anything there."""

    world: World
    app: WorkspaceApp
    mallory: Person
    answered: Thread
    asking: Thread
    pending: Pending
    about: str
    turn: str
    """The data of a button under the answer."""

    def view(self, callback_id: str, about: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """A submitted form."""
        view = {
            "id": "V1",
            "type": "modal",
            "callback_id": callback_id,
            "private_metadata": about,
            "state": {"values": values},
        }
        return self._body("view_submission", view=view)

    def action(self, action_id: str, value: str, thread: Thread, ts: str) -> dict[str, Any]:
        """A pressed button of a message."""
        container = {
            "type": "message",
            "message_ts": ts,
            "channel_id": thread.channel_id,
            "thread_ts": thread.thread_ts,
        }
        pressed = {
            "type": "button",
            "action_id": action_id,
            "block_id": "b",
            "value": value,
            "selected_conversation": thread.channel_id,
            "action_ts": f"{float(ts) + 100:.6f}",
        }
        return self._body(
            "block_actions",
            actions=[pressed],
            container=container,
            message={"ts": ts, "thread_ts": thread.thread_ts},
            channel={"id": thread.channel_id},
            view={"id": "V1", "private_metadata": self.about},
        )

    def _body(self, kind: str, **fields: Any) -> dict[str, Any]:
        team = self.world.slack.workspace.team_id
        user = {"id": self.mallory.id, "team_id": team}
        return {
            "type": kind,
            "team": {"id": team},
            "user": user,
            "trigger_id": f"{kind}.{id(fields)}",
            "api_app_id": "A1",
            "response_url": self.world.slack.api_url,
            **fields,
        }

    def shortcut(self) -> dict[str, Any]:
        """The shortcut in the menu of the answer."""
        thread = self.answered
        return self._body(
            "message_action",
            callback_id=SHORTCUTS[0].callback_id,
            channel={"id": thread.channel_id},
            message={"ts": thread.thread_ts},
            message_ts=thread.thread_ts,
            action_ts=f"{float(thread.thread_ts) + 200:.6f}",
        )

    def command(self, name: str) -> dict[str, Any]:
        """A slash command."""
        team = self.world.slack.workspace.team_id
        return {
            "command": name,
            "text": "",
            "team_id": team,
            "channel_id": self.answered.channel_id,
            "user_id": self.mallory.id,
            "trigger_id": "t",
            "response_url": "",
        }


def rows(situation: Situation) -> dict[str, list[dict[str, Any]]]:
    """What mallory sends, by listener."""
    answered, asking = situation.answered, situation.asking
    below = situation.world.slack.replies(CHANNEL, answered.thread_ts)[-1].ts
    asked = situation.pending.card
    press = json.loads(situation.about)["press"]
    value = json.dumps([press["turn_id"], press["id"], press["shown"]])
    vote = {
        "vote": "negative",
        "about": situation.turn,
        "thread": answered.key,
        "user_id": situation.mallory.id,
    }
    settings = {"model": {"model": {"value": MODEL}}}
    channel = json.dumps({"channel": answered.channel_id, "version": 0})

    def decided(action_id: str) -> list[dict[str, Any]]:
        return [situation.action(action_id, value, asking, asked)]

    def pressed(action_id: str, text: str) -> list[dict[str, Any]]:
        return [situation.action(action_id, text, answered, below)]

    return {
        "AnswerButtons.voted": pressed(FEEDBACK, f"negative:{situation.turn}"),
        "AnswerButtons.open_note_form": pressed(ADD_NOTE, json.dumps(vote)),
        "AnswerButtons.noted": [
            situation.view(feedback.NOTE_VIEW, json.dumps(vote), {"note": {"note": {"value": "n"}}})
        ],
        "AnswerButtons.answer_again": pressed(AGAIN, situation.turn),
        "AnswerButtons.stop": [situation.action(STOP, "stop", asking, asked)],
        "ApprovalButtons.allow": decided(card.ALLOW),
        "ApprovalButtons.allow_in_thread": decided(card.ALLOW_IN_THREAD),
        "ApprovalButtons.ask_reason": decided(card.DENY),
        "ApprovalButtons.deny": [
            situation.view(card.DENIED, situation.about, {"reason": {"reason": {"value": "no"}}})
        ],
        "ApprovalButtons.show_all": decided(card.SHOW_ALL),
        "ApprovalButtons.turn_page": [
            situation.action(card.PAGE_NEXT, "1", asking, asked),
            situation.action(card.PAGE_BACK, "0", asking, asked),
        ],
        "ApprovalButtons.open_form": decided(card.ANSWER),
        "ApprovalButtons.answer": [situation.view(card.ANSWERED, situation.about, {})],
        "ApprovalButtons.visited": decided(card.DONE),
        "ApprovalButtons.decline": decided(card.DECLINE),
        "ApprovalButtons.opened": decided(card.OPEN),
        "AccountCode.open": pressed(account_code.ACTION, "code"),
        "AccountCode.submit": [
            situation.view(account_code.VIEW, "", {"code": {"code": {"value": "BCDF-GHJK"}}})
        ],
        "Buttons.reset_button": pressed(RESET_ROW, answered.key) + pressed(RESET_ROW, asking.key),
        "Buttons.reset_shortcut": [situation.shortcut()],
        "MessageChanges.answer_again": pressed(EDITED, f"{answered.thread_ts} {answered.key}"),
        "ChannelModal.open": pressed(home.CONFIGURE, answered.channel_id)
        + pressed(home.EDIT, answered.channel_id),
        "ChannelModal.submit": [situation.view(channel_modal.CALLBACK, channel, settings)],
        "Home.reset": pressed(home.RESET, answered.key),
        "Home.disconnect": pressed(home.DISCONNECT, "s"),
        "JobButtons.job": [
            request
            for job in ("export", "reset_all", "chart", "team_chart")
            for request in pressed(f"errand:{job}", job)
        ],
        "WorkspaceModal.open": pressed(workspace_modal.EDIT, "edit"),
        "WorkspaceModal.submit": [
            situation.view(workspace_modal.CALLBACK, json.dumps({"version": 0}), settings)
        ],
        **{
            f"command {each.name}": [situation.command(each.name)]
            for each in all_commands()
            if each.name != "/forget-me"  # everyone's right
        },
    }


@asynccontextmanager
async def situation(kind: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Situation]:
    counts, tools = tmp_path / "counts", tmp_path / "tools.toml"
    counts.touch()
    async with open_http(counts) as url:
        tools.write_text(f'[servers.s]\nurl = "{url}"\n')
        async with place_with(kind, CHANNEL, redis_url, tmp_path, bot_tools=tools) as opened:
            world, mallory = opened
            answered = await world.ask(CHANNEL, "@bot hello")
            world.fake.answer = [WRITE, "Written."]
            asking = await world.slack.user("alice").says(CHANNEL, "@bot write")
            await world.slack.wait_for(lambda: world.slack.replies(CHANNEL, asking), PATIENCE)
            await world.wait_for_state(world.key(CHANNEL, asking), "later")
            yield await _described(world, mallory, answered, asking)
    assert not counts.read_text()


async def _described(world: World, mallory: Person, answered: str, asking: str) -> Situation:
    asked = world.slack.replies(CHANNEL, asking)[-1]
    (buttons,) = [block for block in asked.blocks if block["type"] == "actions"]
    press = card.Press.parse(buttons["elements"][0]["value"])
    assert press is not None
    thread = world.key(CHANNEL, asking)
    pending = await world.bot.store.approvals.find(thread, press.turn_id, press.id)
    assert pending is not None
    about = encode(About(thread.key, asked.ts, press))
    latest = await world.bot.store.redis.get(
        world.bot.store.keys.latest(world.key(CHANNEL, answered))
    )
    turn = f"{str(latest).partition(' ')[0]}:resp_1"
    first = world.key(CHANNEL, answered)
    return Situation(world, _app(world), mallory, first, thread, pending, about, turn)


def _app(world: World) -> WorkspaceApp:
    """The app of a workspace whose admins may change its settings."""
    own = world.bot.workspaces.own
    assert own is not None
    changed = own.settings.model_copy(update={"slack_client_id": "1.2"})
    workspace, store = replace(own, settings=changed), world.bot.store
    rights = Rights(store, own.people, own.channels, changed, look_up_seconds=5.0)
    accounts = Accounts(world.bot.shards, ToolsConfig(), changed)

    async def no_key(_: str) -> str:
        return ""

    async def no_models() -> list[str]:
        return []

    summary = summarize(ToolsConfig())
    return build_app(workspace, store, rights, summary, accounts, no_key, no_models)


def listeners(app: WorkspaceApp) -> set[str]:
    """The names of all listeners of the app but those of commands."""
    names = {listener.ack_function.__qualname__ for listener in app._async_listeners}
    return {name for name in names if "<locals>" not in name}


async def test_every_listener_has_a_row(redis_url: str, tmp_path: Path) -> None:
    """A new button, form or event needs one: what may a person without the right do with it?"""
    async with situation("denied", redis_url, tmp_path) as found:
        known = {name for name in rows(found) if not name.startswith("command ")}
        assert listeners(found.app) == known | EVENTS.keys()
        # Bolt tries them in order, and most requests are messages.
        first = [each.ack_function.__name__ for each in found.app._async_listeners[:2]]
        assert first == ["message", "app_mention"]


@pytest.mark.parametrize("kind", ["denied", "guest", "deactivated"])
async def test_what_a_refused_person_sends_to_any_listener_changes_nothing(
    redis_url: str, tmp_path: Path, kind: str
) -> None:
    async with situation(kind, redis_url, tmp_path) as found:
        world, store = found.world, found.world.bot.store
        runs, answer = world.fake.created("/responses"), found.answered
        for name, requests in rows(found).items():
            for body in requests:
                response = await found.app.async_dispatch(
                    AsyncBoltRequest(body=body, mode="socket_mode")
                )
                assert response.status == 200, name
            await world.slack.settled(PATIENCE)
            assert await store.inbox.interrupt_of(found.asking) is None, name
        await world.rests(CHANNEL, answer.thread_ts)
        await world.jobs_done(found.mallory)
        await world.wait_for_state(found.asking, "later")
        press = json.loads(found.about)["press"]
        pending = await store.approvals.find(found.asking, press["turn_id"], press["id"])
        assert pending == found.pending
        assert await store.feedback.list() == []
        assert await store.conversations.find(answer) is not None
        assert await store.channels.versions(answer.team_id, answer.channel_id, 5) == []
        assert (await store.workspaces.newest(answer.team_id)).number == 0
        assert await store.conversations.recent(answer.team_id, found.mallory.id, limit=None) == []
        assert world.fake.created("/responses") == runs
        shown = str([view.payload for view in found.mallory.modals])
        assert "write" not in shown
        sent = world.slack.messages(found.mallory.dm())
        assert not any(message.file_ids for message in sent)
