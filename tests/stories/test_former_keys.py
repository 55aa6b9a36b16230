"""Conversations made with a workspace's own key of the AI server, after their end."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import sweep
from bot.engines.keyed import account_of
from bot.settings.retention import DAY
from bot.store.archive import Orphan
from bot.upkeep.swept import SweptShards
from tests.deployment import Deployment, open_deployment
from tests.world import PATIENCE, wait_until

KEY = "sk-own"


@pytest.fixture
async def deployment(redis_url: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    """A workspace with its own key, and a conversation that was made with it."""
    async with open_deployment(redis_url, tmp_path, teams=("T1",)) as deployment:
        await deployment.install("T1")
        deployment.fake.options.more_keys = frozenset({KEY})
        await deployment.bot.store.workspaces.save_ai_key("T1", KEY)
        await deployment.ask("T1", "hi")
        yield deployment


async def _discard(deployment: Deployment) -> Orphan:
    """Make the conversation an orphan, as an archived or forgotten one is."""
    [conversation] = await wait_until(lambda: _recent(deployment))
    orphan = Orphan(conversation.engine, conversation.id)
    await deployment.bot.store.archive.discard(orphan.engine, orphan.conversation_id)
    return orphan


async def _recent(deployment: Deployment) -> list[object]:
    alice = deployment.slack("T1").user("alice").id
    found = await deployment.bot.store.conversations.recent("T1", alice, limit=None)
    return [each for each in found if each.id]


async def test_any_process_deletes_them_with_that_key(deployment: Deployment) -> None:
    """`bot sweep` has answered nothing, so it has not opened that key before."""
    orphan = await _discard(deployment)
    assert orphan.engine.endswith(f"@{account_of(KEY)}")
    swept = await sweep(deployment.settings, dry_run=False)
    assert (swept.deleted, swept.kept, swept.given_up) == (1, 0, 0)
    assert not deployment.fake.conversations


async def test_those_of_a_former_key_are_given_up_after_four_weeks_and_reported(
    deployment: Deployment,
) -> None:
    store, alice = deployment.bot.store, deployment.slack("T1").user("alice")
    orphan = await _discard(deployment)
    await store.archive.note_unconfirmed("T1", alice.id, [orphan])
    await store.workspaces.save_ai_key("T1", "")
    assert await sweep(deployment.settings, dry_run=False) == SweptShards(kept=1)
    await store.flags.note(f"keyless:{orphan.engine}", "corrupt", 1000)
    await store.archive.postpone(orphan, 0)
    assert (await sweep(deployment.settings, dry_run=False)).kept == 1
    weeks_ago = time.time() - 29 * DAY
    await store.flags.note(f"keyless:{orphan.engine}", f"{weeks_ago:.0f}", 1000)
    await store.archive.postpone(orphan, 0)
    assert await sweep(deployment.settings, dry_run=False) == SweptShards(given_up=1)
    assert await store.redis.zcard(store.keys.orphans) == 0
    slack = deployment.slack("T1")
    await slack.wait_for(lambda: slack.messages(alice.dm()), PATIENCE)
    [reported] = [message.text for message in slack.messages(alice.dm())]
    assert "could not delete a deleted conversation" in reported
    assert await store.archive.confirmed() == []


async def test_a_key_that_cannot_be_read_gives_nothing_up(deployment: Deployment) -> None:
    store = deployment.bot.store
    orphan = await _discard(deployment)
    await store.redis.hset(store.keys.sealed("ai_key"), "T1", "damaged")
    weeks_ago = time.time() - 29 * DAY
    await store.flags.note(f"keyless:{orphan.engine}", f"{weeks_ago:.0f}", 1000)
    assert await sweep(deployment.settings, dry_run=False) == SweptShards(kept=1)


async def test_a_removed_workspace_keeps_its_key_until_its_conversations_are_deleted(
    deployment: Deployment,
) -> None:
    store = deployment.bot.store
    await wait_until(lambda: _recent(deployment))
    now = deployment.settings.model_copy(update={"bot_uninstall_days": -1})
    assert await store.installations.remove("T1", time.time() + 60)
    assert (await sweep(now, dry_run=False)).deleted == 1
    assert not deployment.fake.conversations
    await sweep(now, dry_run=False)
    assert await store.workspaces.ai_key("T1") is None
    assert await store.installations.list() == {}
