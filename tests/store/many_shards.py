"""Workspaces in the shards of several servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.models import Message, Run, Thread, Usage
from bot.settings import Settings
from bot.store import AuditLine, Store
from bot.store.archive import Orphan
from bot.store.dead import DeadLetter
from bot.store.feedback import Feedback
from bot.store.shards import Shards, open_shards
from bot.store.workspace_settings import WorkspaceSettings
from tests.store.builders import conversation

TEAMS = [f"T{number}" for number in range(12)]


def settings(url: str, shards: int, **given: Any) -> Settings:
    return Settings(
        _env_file=None, slack_bot_token="xoxb-1", redis_url=url, bot_shards=shards, **given
    )


@asynccontextmanager
async def opened(url: str, shards: int, **given: Any) -> AsyncIterator[Shards]:
    async with open_shards(settings(url, shards, **given)) as opened:
        yield opened


def message_in(team: str, ts: str = "1.0") -> Message:
    """The same channel, time and person in each workspace; only the text differs."""
    return Message(Thread(team, "C1", "1.0"), ts, "U1", f"of {team}", event_id=f"Ev{team}{ts}")


async def deliver_to_all(shards: Shards, ts: str = "1.0") -> None:
    """A message in each workspace."""
    for team in TEAMS:
        await shards.of(team).inbox.deliver(message_in(team, ts))


async def answered(store: Store) -> dict[str, list[str]]:
    """The texts that a worker of a shard takes, by workspace."""
    entries = await store.inbox.read_ready("anna", 100, 0)
    claims = [await store.inbox.take(entry, "anna") for entry in entries]
    return {
        claim.thread.team_id: [message.text for message in claim.messages]
        for claim in claims
        if claim
    }


async def fill(shards: Shards) -> None:
    """Something of each kind of key for each workspace."""
    for team in TEAMS:
        store, thread = shards.of(team), Thread(team, "C1", "1.0")
        await store.inbox.deliver(message_in(team))
        [entry] = await store.inbox.read_ready("anna", 100, 0)
        claim = await store.inbox.take(entry, "anna")
        assert claim is not None
        await store.conversations.save(claim, conversation(f"conv-{team}", of=thread))
        charge = Usage(len(team), 1)
        await store.inbox.settle(claim, usage=charge, runs=[Run("run", f"conv-{team}", 1.0)])
        await store.spending.account(claim, "U1", charge, 5, is_late=True)
        await store.feedback.save(Feedback(f"q{team}", "run", thread, "U1", "positive", 1.0))
        await store.archive.note_unconfirmed(team, "U1", [Orphan("echo", f"old-{team}")])
        await store.archive.discard("echo", f"old-{team}")
        await store.audit.append(line_of(team))
        await store.dead.save(DeadLetter(f"q{team}", thread, "bug", 1.0, 3, 0, ()))
        await store.workspaces.save(team, WorkspaceSettings(model=team), user_id="U1", after=0)
        await store.workspaces.save_ai_key(team, f"sk-{team}")
        await store.flags.note(f"workspace_seen:{team}", "1", 3600)
    await deliver_to_all(shards, "2.0")


def line_of(team: str) -> AuditLine:
    return AuditLine(1.0, team, "C1", "1.0", "U1", "q", "c", "s", "t", "", "allow", "policy")
