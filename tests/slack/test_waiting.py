"""The status of a thread that waits is cleared, however the wait ends."""

from dataclasses import replace
from typing import Any, cast

from slack_sdk.web.async_client import AsyncWebClient

from bot.settings import Settings
from bot.slack.answer.waiting import showing_waits
from bot.slack.channels import Channels
from bot.slack.client import GuardedClient, Identity
from bot.slack.people import People
from bot.slack.workspaces import OneWorkspace, Workspace
from bot.store import Store
from bot.store.journal import Turn
from bot.texts.status import NO_WORKER, RESUMING, THINKING
from bot.timing import AnswerTiming
from tests.slack.answers import CHANNEL, Harness, Wire, open_harness

QUICK = AnswerTiming(waiting_after=0.0, waiting_check=0.02)


def one_workspace(client: AsyncWebClient) -> OneWorkspace:
    """The only workspace, with this client."""
    identity, people = Identity("T", "", "U", "B", ""), People(client)
    settings = Settings(_env_file=None, slack_bot_token="xoxb-1")
    channels = Channels(client, people)
    guarded = cast(GuardedClient, client)
    return OneWorkspace(
        Workspace("T", guarded, identity, people, channels, settings, operators=settings)
    )


def shown(harness: Harness) -> str:
    """The status line of the thread."""
    return harness.slack.agent_thread(CHANNEL, harness.root).status


async def test_the_status_is_cleared_when_nothing_is_posted(store: Store) -> None:
    async with open_harness(store) as harness:
        client = Wire().client(harness.slack, harness.session)
        async with showing_waits(one_workspace(client), store.inbox, QUICK):
            await harness.slack.wait_for(lambda: shown(harness) == NO_WORKER)
            claim = (await harness.take()).claim
            await store.inbox.settle(claim)  # as after a "stop" or a deletion
            await harness.slack.wait_for(lambda: shown(harness) == "")
            calls = len(harness.slack.calls)
            [asked] = claim.messages
            await store.inbox.deliver(
                replace(asked, ts=f"{float(asked.ts) + 1:.6f}", event_id="E2")
            )
            await harness.slack.wait_for(lambda: shown(harness) == NO_WORKER)
            assert len(harness.slack.calls) == calls + 1


async def test_a_worker_that_takes_the_thread_at_that_moment_keeps_its_status(
    store: Store,
) -> None:
    async with open_harness(store) as harness:
        await store.workers.beat("busy", 60)
        taken: list[Turn] = []

        class Client(AsyncWebClient):
            async def api_call(self, api_method: str, **given: Any) -> Any:
                if api_method == "assistant.threads.setStatus" and not taken:
                    taken.append(await harness.take())
                    await super().api_call(api_method, **given | {"json": thinking})
                return await super().api_call(api_method, **given)

        thinking = {
            "channel_id": harness.thread.channel_id,
            "thread_ts": harness.root,
            "status": THINKING,
        }
        client = Client(
            token=harness.slack.bot_token, base_url=harness.slack.api_url, session=harness.session
        )
        async with showing_waits(one_workspace(client), store.inbox, QUICK):
            await harness.slack.wait_for(lambda: len(harness.slack.calls) >= 3)
            assert shown(harness) == THINKING


async def test_the_last_edit_of_a_resumed_answer_clears_the_status(store: Store) -> None:
    text = "A paragraph.\n\n" * 20
    async with open_harness(store) as harness:
        await harness.answer(text, Wire(2), step=100)
        await (
            Wire()
            .client(harness.slack, harness.session)
            .assistant_threads_setStatus(
                channel_id=harness.thread.channel_id, thread_ts=harness.root, status=RESUMING
            )
        )
        second = Wire()
        await harness.answer(text, second, step=len(text))
        assert "chat.postMessage" not in second.calls
        assert shown(harness) == ""
