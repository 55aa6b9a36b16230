"""Workspaces with the same ids of people, channels and bots: nothing of one reaches another."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from bot.models import Thread
from bot.slack import approval_card as card
from bot.slack.answer.buttons import ADD_NOTE, AGAIN, FEEDBACK
from local_slack.workspace.model import Message
from tests.crosstalk import QUESTIONS, talk
from tests.deployment import Deployment, open_deployment
from tests.fakes.openai import Call, calling, echo, held
from tests.tools.servers import open_http
from tests.world import PATIENCE, wait_until, words

TEAMS = ("T1", "T2", "T3")
GENERAL = "#general"


@pytest.fixture
async def deployment(redis_url: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    async with open_deployment(redis_url, tmp_path, teams=TEAMS) as deployment:
        await deployment.install(*TEAMS)
        yield deployment


@pytest.mark.parametrize(
    ("socket_mode", "dialogues", "shards"),
    [(False, 4, 1), (True, 2, 8)],
    ids=["http", "socket-shards"],
)
async def test_nothing_crosses_between_workspaces_with_the_same_ids(
    redis_url: str, tmp_path: Path, socket_mode: bool, dialogues: int, shards: int
) -> None:
    """Answers, App Home, exports, usage, every key in Redis, every request to the AI server."""
    async with open_deployment(
        redis_url, tmp_path, teams=TEAMS, socket_mode=socket_mode, bot_shards=shards
    ) as deployment:
        await deployment.install(*TEAMS)
        ids = {(slack.bot.id, slack.channel(GENERAL).id) for slack in _slacks(deployment)}
        assert len(ids) == 1
        result = await talk(deployment, TEAMS, len(TEAMS) * dialogues * QUESTIONS, at_once=2)
        found = await deployment.bot.store.redis.keys("*:conversation:*")
        keys = [str(key) for key in found if "errands" not in str(key)]
    assert result.crossed == []
    assert result.answers == dict.fromkeys(TEAMS, dialogues * QUESTIONS)
    assert Counter(key.partition("}:")[2].split(":")[1] for key in keys) == dict.fromkeys(
        TEAMS, dialogues
    )
    assert bool(deployment.distribution.sockets.ever_opened) is socket_mode


def _slacks(deployment: Deployment) -> list[Any]:
    return [deployment.slack(team) for team in TEAMS]


async def _both_ask(deployment: Deployment, text: str, teams: tuple[str, ...]) -> str:
    """The same message with the same ts in several workspaces; returns the ts."""
    ts = deployment.slack(teams[0]).clock.next_ts()
    for team in teams:
        slack = deployment.slack(team)
        next_ts, slack.clock.next_ts = slack.clock.next_ts, lambda: ts  # type: ignore[method-assign]
        assert await slack.user("alice").says(GENERAL, f"@bot {text} {team}") == ts
        slack.clock.next_ts = next_ts  # type: ignore[method-assign]
    return ts


async def _answered(deployment: Deployment, team: str, root: str, count: int = 1) -> list[Message]:
    slack = deployment.slack(team)
    await slack.wait_for(lambda: len(slack.replies(GENERAL, root)) >= count, PATIENCE)
    return slack.replies(GENERAL, root)


async def test_threads_with_the_same_ids_are_stopped_edited_and_answered_again_apart(
    deployment: Deployment,
) -> None:
    one, two = deployment.slack("T1"), deployment.slack("T2")
    fake = deployment.fake
    fake.answer = held("done")
    root = await _both_ask(deployment, "think", ("T1", "T2"))
    await two.wait_for(lambda: len(fake.working) == 2, PATIENCE)
    await one.user("alice").says(GENERAL, "stop", thread_ts=root)
    await one.wait_for(lambda: len(fake.working) == 1, PATIENCE)
    await _answered(deployment, "T1", root)
    fake.answer = echo
    fake.finish("of two")
    [answer] = await _answered(deployment, "T2", root)
    assert words(answer) == "of two"
    # An edit, an answer again and a deletion in one workspace leave the same thread of the other.
    await _rests(deployment, "T2", root)
    await two.user("alice").edits(GENERAL, root, "@bot changed in T2")
    offer = await two.wait_for(lambda: two.user("alice").ephemerals(GENERAL), PATIENCE)
    assert one.user("alice").ephemerals(GENERAL) == []
    await two.user("alice").clicks(GENERAL, offer[-1].ts, "answer_edited")
    edited = await _answered(deployment, "T2", root, 2)
    await _rests(deployment, "T2", root)
    await two.user("alice").clicks(GENERAL, edited[1].ts, AGAIN)
    again = await _answered(deployment, "T2", root, 3)
    await _rests(deployment, "T2", root)
    assert ["changed in T2" in words(each) for each in again] == [False, True, True]
    before = [words(each) for each in one.replies(GENERAL, root)]
    await two.user("alice").deletes(GENERAL, root)
    await two.settled(PATIENCE)

    async def retracted() -> bool:
        return "changed in T2" not in await _questions(deployment, "T2")

    await wait_until(retracted)
    assert "think T1" in await _questions(deployment, "T1")
    assert [words(each) for each in one.replies(GENERAL, root)] == before


async def _rests(deployment: Deployment, team: str, root: str) -> None:
    thread = Thread(team, deployment.slack(team).channel(GENERAL).id, root)

    async def idle() -> bool:
        return (await deployment.bot.store.inbox.state(thread)).state == "idle"

    await wait_until(idle)


async def _questions(deployment: Deployment, team: str) -> list[str]:
    """What Alice said in a workspace, as far as our record has it."""
    conversations = deployment.bot.store.conversations
    alice = deployment.slack(team).user("alice").id
    recent = await conversations.recent(team, alice, limit=None)
    histories = await conversations.histories([each.thread for each in recent])
    return [line.text for history in histories for line in history if line.role == "user"]


async def test_feedback_and_audit_lines_name_the_workspace_where_they_were_made(
    redis_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    async with open_deployment(
        redis_url, tmp_path, teams=TEAMS[:2], bot_audit_log=str(log)
    ) as deployment:
        await deployment.install("T1", "T2")
        root = await _both_ask(deployment, "hi", ("T1", "T2"))
        answers = {team: (await _answered(deployment, team, root))[0] for team in ("T1", "T2")}
        alice = deployment.slack("T2").user("alice")
        await alice.clicks(GENERAL, answers["T2"].ts, FEEDBACK, "negative")
        await alice.submits({"note": "wrong"})
        await alice.slash("/forget-me")

        async def noted() -> bool:
            feedback = await deployment.bot.store.feedback.list()
            return {(each.thread.team_id, each.note) for each in feedback} == {("T2", "wrong")}

        await wait_until(noted)

        async def both_logged() -> bool:
            return log.exists() and log.read_text().count('"answer"') >= 2

        await wait_until(both_logged)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(each["team"] for each in lines if each["event"] == "answer") == ["T1", "T2"]


async def _forged(delivery: Any, change: Any, slack: Any) -> Any:
    """The answer to a request of Slack's with a changed payload."""
    payload = deepcopy(delivery.payload)
    change(payload)
    return await slack.deliveries_to_app.send_interaction("interactive", "forged", payload)


def _moved(payload: dict[str, Any], start: str, end: str) -> None:
    """Make every value that we wrote into a view name another workspace."""
    view = payload["view"]
    view["private_metadata"] = view["private_metadata"].replace(f"{start}:", f"{end}:")


async def test_an_approval_is_decided_in_its_own_workspace_only(
    redis_url: str, tmp_path: Path
) -> None:
    """The same person, channel and thread in another workspace; clicks that Slack would sign there
    cannot name the approval."""
    counts, tools = tmp_path / "counts", tmp_path / "tools.toml"
    counts.touch()
    async with open_http(counts) as url:
        tools.write_text(f'[servers.s]\nurl = "{url}"')
        async with open_deployment(
            redis_url, tmp_path, teams=TEAMS[:2], bot_tools=tools
        ) as deployment:
            await deployment.install("T1", "T2")
            await _decide_from_elsewhere(deployment, counts)
    assert _effects(counts) == ["write"]


def _effects(counts: Path) -> list[str]:
    return counts.read_text().split()


async def _decide_from_elsewhere(deployment: Deployment, counts: Path) -> None:
    one, two = deployment.slack("T1"), deployment.slack("T2")
    write = calling(Call("s__write", '{"text": "hello"}'))
    deployment.fake.answer = [write, write, "Written.", "Written."]
    root = await _both_ask(deployment, "write", ("T1", "T2"))
    cards = {team: await _open_card(deployment, team, root) for team in ("T1", "T2")}
    alice = two.user("alice")
    ours = deepcopy(cards["T2"].blocks)
    cards["T2"].blocks = deepcopy(cards["T1"].blocks)
    for action in (card.ALLOW, card.ALLOW_IN_THREAD, card.DENY):  # T1's buttons, pressed in T2
        await alice.clicks(GENERAL, cards["T2"].ts, action)
    assert alice.modals == []
    cards["T2"].blocks = ours
    await alice.clicks(GENERAL, cards["T2"].ts, card.DENY)
    denied = await alice.submits({"reason": "no"})
    forged = await _forged(denied, lambda body: _moved(body, "T2", "T1"), two)
    assert forged.state == "failed"
    thread = (await deployment.bot.store.conversations.recent("T1", alice.id, limit=1))[0].thread
    assert (await deployment.bot.store.inbox.state(thread)).state == "later"
    assert _effects(counts) == []
    await one.user("alice").clicks(GENERAL, cards["T1"].ts, card.ALLOW)
    await _answered(deployment, "T1", root, 2)
    await _answered(deployment, "T2", root, 2)


async def _open_card(deployment: Deployment, team: str, root: str) -> Message:
    slack = deployment.slack(team)

    def find() -> list[Message]:
        replies = slack.replies(GENERAL, root)
        return [each for each in replies if any(b["type"] == "actions" for b in each.blocks)]

    found: list[Message] = await slack.wait_for(find, PATIENCE)
    return found[0]


async def test_values_that_name_another_workspace_are_refused(deployment: Deployment) -> None:
    """A note, an edit's offer, a reset and a job whose values name another workspace's thread."""
    root = await _both_ask(deployment, "hi", ("T1", "T2"))
    for team in ("T1", "T2"):
        await _answered(deployment, team, root)
    two, store = deployment.slack("T2"), deployment.bot.store
    alice = two.user("alice")
    await alice.clicks(GENERAL, two.replies(GENERAL, root)[0].ts, FEEDBACK, "positive")
    await alice.clicks(GENERAL, alice.ephemerals(GENERAL)[-1].ts, ADD_NOTE)
    noted = await alice.submits({"note": "mine"})
    forged = await _forged(noted, lambda body: _moved(body, "T2", "T1"), two)
    assert forged.state == "failed"

    async def voted() -> bool:
        return {each.thread.team_id for each in await store.feedback.list()} == {"T2"}

    await wait_until(voted)
    await alice.opens_home()
    await two.settled(PATIENCE)
    assert alice.home is not None
    reset = await alice.clicks_in_view("home_reset", view_id=alice.home["id"])

    def another(value: str) -> Any:
        return lambda body: body["actions"][0].update(value=value)

    await _forged(reset, another(f"T1:{two.channel(GENERAL).id}:{root}"), two)
    asked = await alice.clicks_in_view("errand:chart", view_id=alice.home["id"])
    stop = await _forged(asked, another(f"stop T1:{two.channel(GENERAL).id}:{root}"), two)
    assert stop.state == "failed"
    assert await _questions(deployment, "T1") == ["hi T1"]
