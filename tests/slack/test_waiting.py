"""The status of a thread that waits is cleared, however the wait ends."""

from dataclasses import replace

from bot.slack.answer.waiting import showing_waits
from bot.store import Store
from bot.texts.status import WAITING
from bot.timing import AnswerTiming
from tests.slack.answers import CHANNEL, Scene, Wire, open_scene

QUICK = AnswerTiming(waiting_after=0.0, waiting_check=0.02)


def shown(scene: Scene) -> str:
    """The status line of the thread."""
    return scene.slack.agent_thread(CHANNEL, scene.root).status


async def test_the_status_is_cleared_when_nothing_is_posted(store: Store) -> None:
    async with open_scene(store) as scene:
        client = Wire().client(scene.slack, scene.session)
        async with showing_waits(client, store.inbox, QUICK):
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
