"""Complete conversations, from the first mention to a reset."""

import asyncio

import pytest

from bot.texts.answers import FRESH_START, NOTHING_TO_FORGET
from bot.texts.prompts import NO_WORDS
from tests.fakes.openai import after_polls, failed, held
from tests.world import World


async def test_a_mention_is_answered_in_its_thread_and_remembered(any_world: World) -> None:
    root = await any_world.ask("#general", "@bot my name is Ada")
    assert "my name is Ada" in (await any_world.replies("#general", root))[0]
    await any_world.ask("#general", "what is my name?", thread_ts=root)
    answers = await any_world.replies("#general", root, 2)
    assert len(answers) == 2
    assert "my name is Ada" in answers[1]
    assert "what is my name?" in answers[1]


async def test_the_next_turn_knows_a_long_batch_whose_run_failed(world: World) -> None:
    world.fake.answer = [held("patience"), failed(), failed(), failed()]
    root = await world.slack.user("alice").says("#general", "@bot first")
    await world.slack.wait_for(lambda: world.fake.working)
    said = [f"word {number}" for number in range(30)]
    for text in said:
        await world.slack.user("alice").says("#general", text, thread_ts=root)
    await world.slack.settled()
    world.fake.finish()
    await world.rests("#general", root)
    await world.ask("#general", "and now?", thread_ts=root)
    *_, answer = await world.replies("#general", root, 3)
    assert [text for text in said if text not in answer] == []


async def test_a_conversation_works_over_http_and_socket_mode(each_way_world: World) -> None:
    root = await each_way_world.ask("#general", "@bot one")
    await each_way_world.ask("#general", "two", thread_ts=root)
    assert await each_way_world.replies("#general", root, 2) == [
        "turn 1: one",
        "turn 2: one | two",
    ]


async def test_a_reset_starts_a_new_conversation(any_world: World) -> None:
    root = await any_world.ask("#general", "@bot the word is swordfish")
    await any_world.ask("#general", "reset", thread_ts=root)
    await any_world.ask("#general", "what is the word?", thread_ts=root)
    answers = await any_world.replies("#general", root, 3)
    assert answers[1] == FRESH_START
    assert "swordfish" not in answers[2]
    assert "what is the word?" in answers[2]


async def test_a_reset_deletes_the_conversation_on_the_server(world: World) -> None:
    root = await world.ask("#general", "@bot hello")
    (before,) = world.fake.conversations
    await world.ask("#general", "@bot reset", thread_ts=root)
    assert before not in world.fake.conversations
    deletes = [r.path for r in world.fake.requests if r.method == "DELETE"]
    assert deletes[-1] == f"/conversations/{before}"
    assert len(deletes) == 4  # the response, both items, then the conversation


async def test_every_thread_is_its_own_conversation(world: World) -> None:
    first, second = await asyncio.gather(
        world.ask("#general", "@bot red"), world.ask("#general", "@bot blue", who="bob")
    )
    await asyncio.gather(
        world.ask("#general", "and?", thread_ts=first),
        world.ask("#general", "so?", who="bob", thread_ts=second),
    )
    assert (await world.replies("#general", first, 2))[1] == "turn 2: red | and?"
    assert (await world.replies("#general", second, 2))[1] == "turn 2: blue | so?"


async def test_direct_messages_need_no_mention(world: World) -> None:
    dm = world.slack.user("alice").dm()
    root = await world.ask(dm, "hello there")
    await world.ask(dm, "and again", thread_ts=root)
    assert await world.replies(dm, root, 2) == [
        "turn 1: hello there",
        "turn 2: hello there | and again",
    ]


async def test_group_messages_and_private_channels_work_like_channels(world: World) -> None:
    group = world.slack.user("alice").dm("bob")
    secret = world.slack.add_channel("secret", ["alice"], private=True).id
    for channel in (group, secret):
        root = await world.ask(channel, "@bot hi")
        await world.ask(channel, "more", thread_ts=root)
        assert await world.replies(channel, root, 2) == ["turn 1: hi", "turn 2: hi | more"]


async def test_messages_that_are_not_for_the_bot_are_ignored(world: World) -> None:
    alice, bob = world.slack.user("alice"), world.slack.user("bob")
    robot = world.slack.add_user("robot", is_bot=True)
    talk = await alice.says("#general", "hi bob")
    await bob.says("#general", "hi alice", thread_ts=talk)
    await robot.joins("#general")
    await robot.says("#general", "@bot beep")
    await world.slack.settled()
    assert all(delivery.state == "acknowledged" for delivery in world.slack.deliveries)
    assert world.fake.requests == []
    assert [m for m in world.slack.messages("#general") if m.user_id == world.slack.bot.id] == []


async def test_messages_sent_while_a_run_is_active_are_taken_together_in_order(
    any_world: World,
) -> None:
    any_world.fake.answer = [held("first")]
    alice = any_world.slack.user("alice")
    root = await alice.says("#general", "@bot start")
    if any_world.settings.bot_engine != "echo":
        await any_world.slack.wait_for(lambda: any_world.fake.working)
    for number in range(5):
        await alice.says("#general", f"number {number}", thread_ts=root)
    await any_world.slack.settled()
    any_world.fake.finish()
    echo = any_world.settings.bot_engine == "echo"
    answers = await any_world.replies("#general", root, 1 if echo else 2)
    order = [answers[-1].index(f"number {number}") for number in range(5)]
    assert order == sorted(order)
    assert echo or len(answers) == 2


async def test_reset_by_the_message_shortcut(world: World) -> None:
    root = await world.ask("#general", "@bot hello")
    await world.slack.user("alice").shortcut("reset_conversation", "#general", root)
    assert (await world.replies("#general", root, 2))[1] == FRESH_START
    await world.ask("#general", "again", thread_ts=root)
    assert (await world.replies("#general", root, 3))[2] == "turn 1: again"


async def test_reset_by_the_command_offers_the_conversations_of_that_channel(world: World) -> None:
    alice = world.slack.user("alice")
    older = await world.ask("#general", "@bot about <cats>")
    newer = await world.ask("#general", "@bot about dogs")
    await world.ask("#random", "@bot elsewhere")
    await alice.slash("/reset", channel="#general")
    (offer,) = alice.ephemerals("#general")
    titles = [block["text"]["text"].split("\n")[0] for block in offer.blocks[1:]]
    assert titles == ["*about dogs*", "*about &lt;cats&gt;*"]
    buttons = [block["accessory"]["value"] for block in offer.blocks[1:]]
    assert buttons == [world.key("#general", ts).key for ts in (newer, older)]

    await alice.clicks("#general", offer.ts, "reset_conversation")
    assert (await world.replies("#general", newer, 2))[1] == FRESH_START
    assert len(await world.replies("#general", older)) == 1
    assert not world.slack.user("bob").ephemerals()


async def test_the_command_says_that_there_is_nothing_to_reset(world: World) -> None:
    alice = world.slack.user("alice")
    await alice.slash("/reset", channel="#random")
    (answer,) = alice.ephemerals("#random")
    assert "no conversation" in answer.text


async def test_a_reset_outside_a_thread_says_what_to_do(world: World) -> None:
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot reset")
    await world.slack.wait_for(alice.ephemerals)
    await world.rests("#general", root)
    (answer,) = alice.ephemerals()
    assert answer.text == NOTHING_TO_FORGET
    assert answer.thread_ts is None  # Slack shows none in a thread without replies
    assert world.slack.replies("#general", root) == []
    assert world.slack.agent_thread("#general", root).status == ""
    assert world.fake.requests == []


async def test_resetting_twice_is_answered_privately_the_second_time(world: World) -> None:
    alice = world.slack.user("alice")
    root = await world.ask("#general", "@bot hi")
    await world.ask("#general", "@bot reset", thread_ts=root)
    await alice.says("#general", "@bot reset", thread_ts=root)
    await world.slack.wait_for(alice.ephemerals)
    await world.rests("#general", root)
    (answer,) = alice.ephemerals()
    assert (answer.text, answer.thread_ts) == (NOTHING_TO_FORGET, root)
    assert len(world.slack.replies("#general", root)) == 2


async def test_a_private_answer_is_posted_if_slack_refuses_it(world: World) -> None:
    world.slack.faults.refuse("chat.postEphemeral", "user_not_in_channel")
    root = await world.ask("#general", "@bot reset")
    assert await world.replies("#general", root) == [NOTHING_TO_FORGET]


async def test_help_says_what_the_bot_can_do(world: World) -> None:
    alice = world.slack.user("alice")
    await alice.slash("/bot-help", channel="#general")
    (answer,) = alice.ephemerals("#general")
    assert "mention me in a channel" in answer.text


@pytest.mark.parametrize("any_world", ["responses", "assistants"], indirect=True)
async def test_a_reset_while_a_run_is_active_cancels_it(any_world: World) -> None:
    any_world.fake.answer = [held("never to be seen")]
    alice = any_world.slack.user("alice")
    root = await alice.says("#general", "@bot think long")
    await any_world.slack.wait_for(lambda: any_world.fake.working)
    await alice.says("#general", "reset", thread_ts=root)
    answers = await any_world.replies("#general", root, 2)
    assert "never to be seen" not in answers[0]
    assert answers[1] == FRESH_START
    assert any_world.fake.working == []


async def test_slack_s_own_stop_ends_the_run_and_keeps_the_conversation(world: World) -> None:
    world.fake.answer = [held("never to be seen")]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot think long")
    await world.slack.wait_for(lambda: world.fake.working)
    await alice.stops("#general", root)
    (answer,) = await world.replies("#general", root)
    assert answer.endswith("_Stopped._")
    await world.ask("#general", "go on", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].endswith("go on")


async def test_the_status_is_set_at_once_and_always_cleared(world: World) -> None:
    world.fake.answer = [after_polls("done", 1)]
    root = await world.slack.user("alice").says("#general", "@bot hi")
    await world.slack.wait_for(lambda: world.slack.agent_thread("#general", root).status)
    assert world.slack.agent_thread("#general", root).status == "is thinking…"
    await world.replies("#general", root)
    assert world.slack.agent_thread("#general", root).status == ""


async def test_model_text_pings_no_one(world: World) -> None:
    alice = world.slack.user("alice")
    world.fake.answer = [f"<!channel> <!here> <@{alice.id}> look, 1 < 2 & 3 > 2"]
    root = await world.ask("#general", "@bot shout")
    (answer,) = world.slack.replies("#general", root)
    shown = str(answer.blocks) + answer.text
    assert "<!" not in shown
    assert f"<@{alice.id}>" not in shown


async def test_a_mention_without_text_is_answered(any_world: World) -> None:
    root = await any_world.ask("#general", "@bot")
    assert NO_WORDS in (await any_world.replies("#general", root))[0]


async def test_a_long_answer_arrives_whole_and_in_order(world: World) -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 80 for n in range(100)]
    world.fake.answer = ["\n\n".join(paragraphs)]
    root = await world.ask("#general", "@bot tell me everything")
    parts = await world.replies("#general", root, 4)
    assert all(len(part) <= 12_000 for part in parts)
    assert "\n\n".join(parts).split() == " ".join(paragraphs).split()


async def test_messages_of_a_failed_turn_are_known_afterwards(world: World) -> None:
    world.fake.answer = [failed(), failed(), failed(), failed("invalid_prompt")]
    root = await world.ask("#general", "@bot my name is Ada")
    await world.ask("#general", "something bad", thread_ts=root)
    await world.ask("#general", "what is my name?", thread_ts=root)
    answers = await world.replies("#general", root, 3)
    assert answers[2] == "turn 1: my name is Ada | what is my name?"
    await world.ask("#general", "and again?", thread_ts=root)
    answers = await world.replies("#general", root, 4)
    assert answers[3] == "turn 2: my name is Ada | what is my name? | and again?"
