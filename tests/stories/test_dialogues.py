"""What people live through, from their first mention to a fresh start."""

import asyncio

import pytest

from bot.texts.answers import FRESH_START, NOTHING_TO_FORGET
from bot.texts.prompts import NO_WORDS
from tests.fakes.openai import after_polls, failed, held
from tests.world import Town


async def test_a_mention_is_answered_in_its_thread_and_remembered(any_town: Town) -> None:
    root = await any_town.ask("#general", "@bot my name is Ada")
    assert "my name is Ada" in (await any_town.replies("#general", root))[0]
    await any_town.ask("#general", "what is my name?", thread_ts=root)
    answers = await any_town.replies("#general", root, 2)
    assert len(answers) == 2
    assert "my name is Ada" in answers[1]
    assert "what is my name?" in answers[1]


async def test_all_of_a_long_batch_is_known_after_its_run_has_failed(town: Town) -> None:
    town.fake.answer = [held("patience"), failed()]
    root = await town.slack.user("alice").says("#general", "@bot first")
    await town.slack.wait_for(lambda: town.fake.working)
    said = [f"word {number}" for number in range(30)]
    for text in said:
        await town.slack.user("alice").says("#general", text, thread_ts=root)
    await town.slack.settled()
    town.fake.finish()
    await town.rests("#general", root)
    await town.ask("#general", "and now?", thread_ts=root)
    *_, answer = await town.replies("#general", root, 3)
    assert [text for text in said if text not in answer] == []


async def test_the_same_over_both_ways_that_events_take(each_way_town: Town) -> None:
    root = await each_way_town.ask("#general", "@bot one")
    await each_way_town.ask("#general", "two", thread_ts=root)
    assert await each_way_town.replies("#general", root, 2) == [
        "turn 1: one",
        "turn 2: one | two",
    ]


async def test_after_a_reset_the_conversation_starts_afresh(any_town: Town) -> None:
    root = await any_town.ask("#general", "@bot the word is swordfish")
    await any_town.ask("#general", "reset", thread_ts=root)
    await any_town.ask("#general", "what is the word?", thread_ts=root)
    answers = await any_town.replies("#general", root, 3)
    assert answers[1] == FRESH_START
    assert "swordfish" not in answers[2]
    assert "what is the word?" in answers[2]


async def test_a_reset_deletes_the_conversation_on_the_server(town: Town) -> None:
    root = await town.ask("#general", "@bot hello")
    (before,) = town.fake.conversations
    await town.ask("#general", "@bot reset", thread_ts=root)
    assert before not in town.fake.conversations
    deletes = [r.path for r in town.fake.requests if r.method == "DELETE"]
    assert deletes[-1] == f"/conversations/{before}"
    assert len(deletes) == 4  # the response, both items, then the conversation


async def test_every_thread_is_a_conversation_of_its_own(town: Town) -> None:
    first, second = await asyncio.gather(
        town.ask("#general", "@bot red"), town.ask("#general", "@bot blue", who="bob")
    )
    await asyncio.gather(
        town.ask("#general", "and?", thread_ts=first),
        town.ask("#general", "so?", who="bob", thread_ts=second),
    )
    assert (await town.replies("#general", first, 2))[1] == "turn 2: red | and?"
    assert (await town.replies("#general", second, 2))[1] == "turn 2: blue | so?"


async def test_direct_messages_need_no_mention(town: Town) -> None:
    dm = town.slack.user("alice").dm()
    root = await town.ask(dm, "hello there")
    await town.ask(dm, "and again", thread_ts=root)
    assert await town.replies(dm, root, 2) == [
        "turn 1: hello there",
        "turn 2: hello there | and again",
    ]


async def test_group_messages_and_private_channels_work_like_channels(town: Town) -> None:
    group = town.slack.user("alice").dm("bob")
    secret = town.slack.add_channel("secret", ["alice"], private=True).id
    for channel in (group, secret):
        root = await town.ask(channel, "@bot hi")
        await town.ask(channel, "more", thread_ts=root)
        assert await town.replies(channel, root, 2) == ["turn 1: hi", "turn 2: hi | more"]


async def test_what_is_not_for_the_bot_is_left_alone(town: Town) -> None:
    alice, bob = town.slack.user("alice"), town.slack.user("bob")
    robot = town.slack.add_user("robot", is_bot=True)
    talk = await alice.says("#general", "hi bob")
    await bob.says("#general", "hi alice", thread_ts=talk)
    await robot.joins("#general")
    await robot.says("#general", "@bot beep")
    await town.slack.settled()
    assert all(delivery.state == "acknowledged" for delivery in town.slack.deliveries)
    assert town.fake.requests == []
    assert [m for m in town.slack.messages("#general") if m.user_id == town.slack.bot.id] == []


async def test_messages_sent_while_a_run_is_active_are_taken_together_in_order(
    any_town: Town,
) -> None:
    any_town.fake.answer = [held("first")]
    alice = any_town.slack.user("alice")
    root = await alice.says("#general", "@bot start")
    if any_town.settings.bot_engine != "echo":
        await any_town.slack.wait_for(lambda: any_town.fake.working)
    for number in range(5):
        await alice.says("#general", f"number {number}", thread_ts=root)
    await any_town.slack.settled()
    any_town.fake.finish()
    echo = any_town.settings.bot_engine == "echo"
    answers = await any_town.replies("#general", root, 1 if echo else 2)
    order = [answers[-1].index(f"number {number}") for number in range(5)]
    assert order == sorted(order)
    assert echo or len(answers) == 2


async def test_reset_by_the_message_shortcut(town: Town) -> None:
    root = await town.ask("#general", "@bot hello")
    await town.slack.user("alice").shortcut("reset_conversation", "#general", root)
    assert (await town.replies("#general", root, 2))[1] == FRESH_START
    await town.ask("#general", "again", thread_ts=root)
    assert (await town.replies("#general", root, 3))[2] == "turn 1: again"


async def test_reset_by_the_command_offers_the_conversations_of_that_channel(town: Town) -> None:
    alice = town.slack.user("alice")
    older = await town.ask("#general", "@bot about <cats>")
    newer = await town.ask("#general", "@bot about dogs")
    await town.ask("#random", "@bot elsewhere")
    await alice.slash("/reset", channel="#general")
    (offer,) = alice.ephemerals("#general")
    titles = [block["text"]["text"].split("\n")[0] for block in offer.blocks[1:]]
    assert titles == ["*about dogs*", "*about &lt;cats&gt;*"]
    buttons = [block["accessory"]["value"] for block in offer.blocks[1:]]
    assert buttons == [town.key("#general", ts).key for ts in (newer, older)]

    await alice.clicks("#general", offer.ts, "reset_conversation")
    assert (await town.replies("#general", newer, 2))[1] == FRESH_START
    assert len(await town.replies("#general", older)) == 1
    assert not town.slack.user("bob").ephemerals()


async def test_the_command_says_so_where_there_is_nothing_to_reset(town: Town) -> None:
    alice = town.slack.user("alice")
    await alice.slash("/reset", channel="#random")
    (answer,) = alice.ephemerals("#random")
    assert "no conversation" in answer.text


async def test_a_reset_outside_a_thread_says_what_to_do(town: Town) -> None:
    alice = town.slack.user("alice")
    root = await alice.says("#general", "@bot reset")
    await town.slack.wait_for(alice.ephemerals)
    await town.rests("#general", root)
    (answer,) = alice.ephemerals()
    assert answer.text == NOTHING_TO_FORGET
    assert answer.thread_ts is None  # Slack shows none in a thread without replies
    assert town.slack.replies("#general", root) == []
    assert town.slack.agent_thread("#general", root).status == ""
    assert town.fake.requests == []


async def test_resetting_twice_is_answered_privately_the_second_time(town: Town) -> None:
    alice = town.slack.user("alice")
    root = await town.ask("#general", "@bot hi")
    await town.ask("#general", "@bot reset", thread_ts=root)
    await alice.says("#general", "@bot reset", thread_ts=root)
    await town.slack.wait_for(alice.ephemerals)
    await town.rests("#general", root)
    (answer,) = alice.ephemerals()
    assert (answer.text, answer.thread_ts) == (NOTHING_TO_FORGET, root)
    assert len(town.slack.replies("#general", root)) == 2


async def test_where_slack_refuses_a_private_answer_it_is_posted(town: Town) -> None:
    town.slack.faults.refuse("chat.postEphemeral", "user_not_in_channel")
    root = await town.ask("#general", "@bot reset")
    assert await town.replies("#general", root) == [NOTHING_TO_FORGET]


async def test_help_says_what_the_bot_can_do(town: Town) -> None:
    alice = town.slack.user("alice")
    await alice.slash("/bot-help", channel="#general")
    (answer,) = alice.ephemerals("#general")
    assert "mention me in a channel" in answer.text


@pytest.mark.parametrize("engine_fixture", ["any_town"])
async def test_a_reset_while_a_run_is_active_cancels_it(
    engine_fixture: str, request: pytest.FixtureRequest, any_town: Town
) -> None:
    if any_town.settings.bot_engine == "echo":
        pytest.skip("the echo engine's runs are over before anybody can stop them")
    any_town.fake.answer = [held("never to be seen")]
    alice = any_town.slack.user("alice")
    root = await alice.says("#general", "@bot think long")
    await any_town.slack.wait_for(lambda: any_town.fake.working)
    await alice.says("#general", "reset", thread_ts=root)
    answers = await any_town.replies("#general", root, 2)
    assert "never to be seen" not in answers[0]
    assert answers[1] == FRESH_START
    assert any_town.fake.working == []


async def test_slack_s_own_stop_ends_the_run_and_keeps_the_conversation(town: Town) -> None:
    town.fake.answer = [held("never to be seen")]
    alice = town.slack.user("alice")
    root = await alice.says("#general", "@bot think long")
    await town.slack.wait_for(lambda: town.fake.working)
    await alice.stops("#general", root)
    (answer,) = await town.replies("#general", root)
    assert answer.endswith("_Stopped._")
    await town.ask("#general", "go on", thread_ts=root)
    assert (await town.replies("#general", root, 2))[1].endswith("go on")


async def test_the_status_is_set_at_once_and_always_cleared(town: Town) -> None:
    town.fake.answer = [after_polls("done", 1)]
    root = await town.slack.user("alice").says("#general", "@bot hi")
    await town.slack.wait_for(lambda: town.slack.agent_thread("#general", root).status)
    assert town.slack.agent_thread("#general", root).status == "is thinking…"
    await town.replies("#general", root)
    assert town.slack.agent_thread("#general", root).status == ""


async def test_model_text_pings_nobody(town: Town) -> None:
    alice = town.slack.user("alice")
    town.fake.answer = [f"<!channel> <!here> <@{alice.id}> look, 1 < 2 & 3 > 2"]
    root = await town.ask("#general", "@bot shout")
    (answer,) = town.slack.replies("#general", root)
    shown = str(answer.blocks) + answer.text
    assert "<!" not in shown
    assert f"<@{alice.id}>" not in shown


async def test_a_mention_without_a_word_is_answered_too(any_town: Town) -> None:
    root = await any_town.ask("#general", "@bot")
    assert NO_WORDS in (await any_town.replies("#general", root))[0]


async def test_a_long_answer_arrives_whole_and_in_order(town: Town) -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 80 for n in range(100)]
    town.fake.answer = ["\n\n".join(paragraphs)]
    root = await town.ask("#general", "@bot tell me everything")
    parts = await town.replies("#general", root, 4)
    assert all(len(part) <= 12_000 for part in parts)
    assert "\n\n".join(parts).split() == " ".join(paragraphs).split()


async def test_what_was_said_before_a_failure_is_known_afterwards(town: Town) -> None:
    town.fake.answer = [failed(), failed("invalid_prompt")]
    root = await town.ask("#general", "@bot my name is Ada")
    await town.ask("#general", "something bad", thread_ts=root)
    await town.ask("#general", "what is my name?", thread_ts=root)
    answers = await town.replies("#general", root, 3)
    assert answers[2] == "turn 1: my name is Ada | what is my name?"
    await town.ask("#general", "and again?", thread_ts=root)
    answers = await town.replies("#general", root, 4)
    assert answers[3] == "turn 2: my name is Ada | what is my name? | and again?"
