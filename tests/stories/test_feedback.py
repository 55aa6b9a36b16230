"""The buttons under an answer: 👍, 👎 with a note, and "Answer again"."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli.feedback import render_csv, render_jsonl
from bot.cli.main import commands
from tests.fakes.openai import failed, held
from tests.world import World, open_world


async def given(world: World) -> list[tuple[str, str, str]]:
    """(vote, note, run id) of all feedback, once no vote waits."""
    await world.jobs_done(world.slack.user("alice"), world.slack.user("bob"))
    found = await world.bot.store.feedback.list()
    return [(feedback.vote, feedback.note, feedback.run_id) for feedback in found]


async def answered(world: World) -> tuple[str, str]:
    """A thread with an answer: the ts of its root and of the answer."""
    root = await world.ask("#general", "@bot hi")
    return root, world.slack.replies("#general", root)[0].ts


async def test_a_thumb_up_is_stored_with_the_answers_id(world: World) -> None:
    _, answer = await answered(world)
    alice = world.slack.user("alice")
    delivery = await alice.clicks("#general", answer, "feedback", "positive")
    assert delivery.state == "acknowledged"
    (run_id,) = world.fake.responses
    assert await given(world) == [("positive", "", run_id)]


async def test_a_note_can_be_added_to_a_thumb_up(world: World) -> None:
    _, answer = await answered(world)
    alice = world.slack.user("alice")
    await alice.clicks("#general", answer, "feedback", "positive")
    (thanks,) = alice.ephemerals("#general")
    await alice.clicks("#general", thanks.ts, "feedback_note")
    await alice.submits({"note": "just right"})
    assert [(vote, note) for vote, note, _ in await given(world)] == [("positive", "just right")]


async def test_a_thumb_down_asks_what_was_wrong(world: World) -> None:
    _, answer = await answered(world)
    alice = world.slack.user("alice")
    await alice.clicks("#general", answer, "feedback", "negative")
    assert [vote for vote, _, _ in await given(world)] == ["negative"]
    assert len(alice.modals) == 1
    await alice.submits({"note": "too <short>"})
    assert [(vote, note) for vote, note, _ in await given(world)] == [("negative", "too <short>")]
    assert not alice.modals


async def test_a_vote_can_be_changed_and_each_person_has_their_own(world: World) -> None:
    _, answer = await answered(world)
    alice, bob = world.slack.user("alice"), world.slack.user("bob")
    await alice.clicks("#general", answer, "feedback", "positive")
    await bob.clicks("#general", answer, "feedback", "positive")
    await alice.clicks("#general", answer, "feedback", "negative")
    await world.jobs_done(alice, bob)
    votes = {f.user_id: f.vote for f in await world.bot.store.feedback.list()}
    assert votes == {alice.id: "negative", bob.id: "positive"}


async def test_feedback_is_exported_as_lines_and_as_a_table(world: World) -> None:
    _, answer = await answered(world)
    alice = world.slack.user("alice")
    await alice.clicks("#general", answer, "feedback", "negative")
    await alice.submits({"note": 'a "quoted", note'})
    await world.jobs_done(alice)
    feedback = await world.bot.store.feedback.list()
    (row,) = csv.DictReader(io.StringIO(render_csv(feedback)))
    (line,) = map(json.loads, render_jsonl(feedback).splitlines())
    for exported in (row, line):
        assert exported["note"] == 'a "quoted", note'
        assert exported["vote"] == "negative"
        assert exported["user_id"] == alice.id
        assert exported["run_id"].startswith("resp_")


def test_the_export_is_a_command() -> None:
    result = CliRunner().invoke(commands, ["feedback", "export", "--help"])
    assert result.exit_code == 0
    assert "jsonl" in result.output


async def test_forget_me_deletes_a_persons_feedback(world: World) -> None:
    _, answer = await answered(world)
    alice, bob = world.slack.user("alice"), world.slack.user("bob")
    await alice.opens_home("messages")
    await alice.clicks("#general", answer, "feedback", "negative")
    await alice.submits({"note": "too short"})
    await bob.clicks("#general", answer, "feedback", "positive")
    await alice.slash("/forget-me")
    *_, offer = alice.ephemerals("#general")
    await alice.clicks("#general", offer.ts, "errand:forget_me")
    dm = alice.dm()
    await world.slack.wait_for(lambda: "feedback" in world.slack.messages(dm)[-1].text)
    assert [vote for vote, _, _ in await given(world)] == ["positive"]
    assert await world.bot.store.feedback.greet(world.slack.workspace.team_id, alice.id)


async def test_an_answer_can_be_asked_for_again_once(world: World) -> None:
    root, answer = await answered(world)
    world.fake.answer = [held("a better one")]
    alice = world.slack.user("alice")
    await alice.clicks("#general", answer, "answer_again")
    await alice.clicks("#general", answer, "answer_again")
    await world.slack.wait_for(lambda: world.fake.working)
    world.fake.finish()
    answers = await world.replies("#general", root, 2)
    assert answers == ["turn 1: hi", "a better one"]
    assert world.fake.created("/responses") == 2


def offers_again(world: World, root: str) -> list[bool]:
    """Which of the thread's answers have the button."""
    return ["answer_again" in str(reply.blocks) for reply in world.slack.replies("#general", root)]


@pytest.mark.parametrize("streams", [False, True], ids=["edited", "streamed"])
async def test_the_button_is_under_the_last_answer_only(
    redis_url: str, tmp_path: Path, streams: bool
) -> None:
    async with open_world(redis_url, tmp_path, bot_stream_channels=streams) as world:
        root = await world.ask("#general", "@bot one")
        assert offers_again(world, root) == [True]
        first = world.slack.replies("#general", root)[0]
        before = [block for block in first.blocks if "answer_again" not in str(block)]
        await world.ask("#general", "two", thread_ts=root)
        await world.slack.wait_for(lambda: offers_again(world, root) == [False, True])
        await world.ask("#general", "three", thread_ts=root)
        await world.slack.wait_for(lambda: offers_again(world, root) == [False, False, True])
        first = world.slack.replies("#general", root)[0]
        assert first.blocks == before
        assert first.metadata is not None
        assert first.edited is None


async def test_an_apology_leaves_the_button_under_the_last_answer(world: World) -> None:
    root = await world.ask("#general", "@bot one")
    world.fake.answer = failed("server_error")
    await world.ask("#general", "two", thread_ts=root)
    assert offers_again(world, root) == [True, False]


@pytest.mark.parametrize("method", ["conversations.replies", "chat.update"])
async def test_a_button_that_cannot_be_removed_now_is_removed_when_it_is_pressed(
    world: World, method: str
) -> None:
    root, answer = await answered(world)
    world.slack.faults.refuse(method, "some_error")
    await world.ask("#general", "more", thread_ts=root)
    await world.slack.wait_for(lambda: any(c.error == "some_error" for c in world.slack.calls))
    assert offers_again(world, root) == [True, True]
    alice = world.slack.user("alice")
    await alice.clicks("#general", answer, "answer_again")
    await world.slack.wait_for(lambda: offers_again(world, root) == [False, True])
    assert "newer answer" in alice.ephemerals("#general")[0].text


async def test_only_the_last_answer_is_given_again(world: World) -> None:
    root, answer = await answered(world)
    world.slack.faults.refuse("conversations.replies", "some_error")
    await world.ask("#general", "more", thread_ts=root)
    alice = world.slack.user("alice")
    await alice.clicks("#general", answer, "answer_again")
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 2
    (reported,) = alice.ephemerals("#general")
    assert "newer answer" in reported.text


async def test_messages_that_are_not_answers_have_no_buttons(world: World) -> None:
    root = await world.ask("#general", "@bot hi")
    await world.ask("#general", "@bot reset", thread_ts=root)
    message = world.slack.replies("#general", root)[-1]
    assert [block["type"] for block in message.blocks] == ["markdown"]
