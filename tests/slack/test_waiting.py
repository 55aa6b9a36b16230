"""The mark on what waits for a worker goes, whatever becomes of what waited."""

from dataclasses import replace

import pytest

from bot.slack.answer import waiting
from bot.slack.answer.waiting import marking
from bot.store import Store
from bot.texts.status import WAITING
from tests.slack.answers import CHANNEL, Scene, Wire, open_scene


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "GRACE", 0.0)
    monkeypatch.setattr(waiting, "LOOK_EVERY", 0.02)


def shown(scene: Scene) -> str:
    """The status line of the thread."""
    return scene.slack.agent_thread(CHANNEL, scene.root).status


async def test_the_mark_goes_though_nothing_is_said(store: Store) -> None:
    async with open_scene(store) as scene:
        client = Wire().client(scene.slack, scene.session)
        async with marking(client, store.inbox):
            await scene.slack.wait_for(lambda: shown(scene) == WAITING)
            claim = (await scene.take()).claim
            await store.inbox.settle(claim)  # as after a "stop" or a deletion
            await scene.slack.wait_for(lambda: shown(scene) == "")
            calls = len(scene.slack.calls)
            [asked] = claim.messages
            await store.inbox.deliver(
                replace(asked, ts=f"{float(asked.ts) + 1:.6f}", event_id="E2")
            )
            await scene.slack.wait_for(lambda: shown(scene) == WAITING)
            assert len(scene.slack.calls) == calls + 1
