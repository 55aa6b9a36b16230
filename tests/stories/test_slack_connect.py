"""A Slack Connect channel of workspaces that both installed the bot: each bot answers for itself.

Slack delivers each message once, in the name of the workspace that joined last.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.models import Thread
from local_slack.delivery.events import authorization
from tests.deployment import Deployment, open_deployment
from tests.world import PATIENCE, wait_until, words


@pytest.fixture
async def deployment(redis_url: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    async with open_deployment(
        redis_url, tmp_path, teams=("T1", "T2"), distinct_ids=True, bot_allow_outsiders=True
    ) as deployment:
        await deployment.install("T1", "T2")
        yield deployment


@pytest.fixture
def channel(deployment: Deployment) -> str:
    return deployment.distribution.connect("joint", "T1", "T2")


def _bot(deployment: Deployment, team: str) -> str:
    return deployment.slack(team).bot.id


def _answers(deployment: Deployment, team: str, channel: str, root: str) -> list[str]:
    slack = deployment.slack(team)
    return [words(reply) for reply in slack.replies(channel, root)]


async def _ask(deployment: Deployment, channel: str, who: str, text: str, root: str = "") -> str:
    """A person's message, once Slack has delivered it; `who` is such as "T1.alice"."""
    team, _, name = who.partition(".")
    slack = deployment.slack(team)
    ts = await slack.user(name).says(channel, text, thread_ts=root or None)
    await slack.settled(PATIENCE)
    return root or ts


async def _rest(deployment: Deployment, channel: str, root: str) -> None:
    """Wait until neither bot has anything to do in a thread."""

    async def idle() -> bool:
        threads = [Thread(team, channel, root) for team in ("T1", "T2")]
        states = [await deployment.bot.store.inbox.state(thread) for thread in threads]
        return {state.state for state in states} == {"idle"}

    await wait_until(idle)


async def _threads(deployment: Deployment) -> list[str]:
    keys = await deployment.bot.store.redis.keys("*:conversation:*")
    return sorted(str(key).split(":")[2] for key in keys)


@pytest.mark.parametrize(("mentioned", "silent"), [("T1", "T2"), ("T2", "T1")])
@pytest.mark.parametrize("who", ["T1.alice", "T2.bob"])
async def test_the_bot_that_is_mentioned_answers_once_and_goes_on_in_its_thread(
    deployment: Deployment, channel: str, mentioned: str, silent: str, who: str
) -> None:
    root = await _ask(deployment, channel, who, f"<@{_bot(deployment, mentioned)}> hi")
    await _rest(deployment, channel, root)
    assert _answers(deployment, mentioned, channel, root) == ["turn 1: hi"]
    await _ask(deployment, channel, who, "and then?", root)
    await _rest(deployment, channel, root)
    assert len(_answers(deployment, mentioned, channel, root)) == 2
    assert _answers(deployment, silent, channel, root) == []
    assert await _threads(deployment) == [mentioned]


async def test_each_bot_answers_what_addresses_it_in_one_thread(
    deployment: Deployment, channel: str
) -> None:
    one, two = _bot(deployment, "T1"), _bot(deployment, "T2")
    root = await _ask(deployment, channel, "T1.alice", f"<@{one}> secret plan")
    await _rest(deployment, channel, root)
    await _ask(deployment, channel, "T1.alice", f"<@{two}> and you?", root)
    await _rest(deployment, channel, root)
    assert len(_answers(deployment, "T1", channel, root)) == 1
    assert len(_answers(deployment, "T2", channel, root)) == 1
    both = await _ask(deployment, channel, "T2.bob", f"<@{one}> <@{two}> both")
    await _rest(deployment, channel, both)
    assert len(_answers(deployment, "T1", channel, both)) == 1
    assert len(_answers(deployment, "T2", channel, both)) == 1
    assert await _threads(deployment) == ["T1", "T1", "T2", "T2"]


async def test_an_event_that_slack_delivers_for_both_is_answered_once(
    deployment: Deployment, channel: str
) -> None:
    one = deployment.slack("T1")
    root = await _ask(deployment, channel, "T1.alice", f"<@{_bot(deployment, 'T1')}> hi")
    message = one.deliveries_to_app.log[-1].payload["event"]
    for team in ("T1", "T2"):
        deployment.distribution.send(team, dict(message))
        await deployment.slack(team).settled(PATIENCE)
    await _rest(deployment, channel, root)
    assert len(_answers(deployment, "T1", channel, root)) == 1
    assert _answers(deployment, "T2", channel, root) == []


async def test_edits_and_deletions_reach_the_bot_that_answered(
    deployment: Deployment, channel: str
) -> None:
    one, alice = deployment.slack("T1"), deployment.slack("T1").user("alice")
    root = await _ask(deployment, channel, "T1.alice", f"<@{_bot(deployment, 'T1')}> hi")
    await _rest(deployment, channel, root)
    await alice.edits(channel, root, f"<@{_bot(deployment, 'T1')}> ho")
    await one.wait_for(lambda: alice.ephemerals(channel), PATIENCE)
    await alice.deletes(channel, root)
    thread = Thread("T1", channel, root)

    async def retracted() -> bool:
        history = await deployment.bot.store.conversations.history(thread)
        return not [line for line in history if line.role == "user"]

    await wait_until(retracted)


async def test_a_bot_that_is_not_in_the_channel_gets_nothing(
    deployment: Deployment, channel: str
) -> None:
    """The other workspace installed the bot, and its people did not add it here."""
    for team in ("T1", "T2"):
        where = deployment.slack(team).channel(channel)
        where.members = [each for each in where.members if each != _bot(deployment, "T2")]
        where.authorization = authorization(deployment.slack("T1").workspace)
    root = await _ask(deployment, channel, "T1.alice", f"<@{_bot(deployment, 'T1')}> hi")
    await _rest(deployment, channel, root)
    assert len(_answers(deployment, "T1", channel, root)) == 1
    other = await _ask(deployment, channel, "T1.alice", f"<@{_bot(deployment, 'T2')}> hi")
    await _rest(deployment, channel, other)
    assert _answers(deployment, "T2", channel, other) == []
    assert await _threads(deployment) == ["T1"]
    for team in ("T1", "T2"):
        deployment.slack(team).channel(channel).members.append(_bot(deployment, "T2"))
    late = await _ask(deployment, channel, "T1.alice", f"<@{_bot(deployment, 'T2')}> and now?")
    await _rest(deployment, channel, late)
    assert len(_answers(deployment, "T2", channel, late)) == 1


async def test_a_bot_that_was_just_installed_gets_what_mentions_it(
    redis_url: str, tmp_path: Path
) -> None:
    opening = open_deployment(
        redis_url, tmp_path, teams=("T1", "T2"), distinct_ids=True, bot_allow_outsiders=True
    )
    async with opening as deployment:
        await deployment.install("T1")
        channel = deployment.distribution.connect("joint", "T1", "T2")
        for team in ("T1", "T2"):  # Slack has not noticed yet that T2 has the bot, too
            where = deployment.slack(team).channel(channel)
            where.authorization = authorization(deployment.slack("T1").workspace)
        await _ask(deployment, channel, "T1.alice", f"<@{_bot(deployment, 'T1')}> hi")
        await deployment.install("T2")
        root = await _ask(deployment, channel, "T1.alice", f"<@{_bot(deployment, 'T2')}> hi")
        await _rest(deployment, channel, root)
        assert _answers(deployment, "T2", channel, root) == ["turn 1: hi"]


async def test_while_slack_cannot_say_who_shares_a_channel_it_delivers_again(
    deployment: Deployment, channel: str
) -> None:
    one = deployment.slack("T1")
    deployment.slack("T2").faults.server_error("conversations.info", times=2)  # message and mention
    root = await _ask(deployment, channel, "T2.bob", f"<@{_bot(deployment, 'T1')}> hi")
    await _rest(deployment, channel, root)
    await one.wait_for(lambda: _answers(deployment, "T1", channel, root), PATIENCE)
    assert len(_answers(deployment, "T1", channel, root)) == 1
