"""People edit and delete their messages before, during and after the answer."""

from bot.slack.changes import ACTION
from local_slack.workspace.model import Message
from tests.fakes.openai import held
from tests.world import World, delete_while_answering


def offers(world: World) -> list[Message]:
    shown = world.slack.user("alice").ephemerals("#general")
    return [m for m in shown if any(b["type"] == "actions" for b in m.blocks)]


async def occupied(world: World) -> str:
    """A thread with an answer in progress; further messages have to wait."""
    world.fake.answer = [held("first")]
    root = await world.slack.user("alice").says("#general", "@bot begin")
    await world.slack.wait_for(lambda: world.fake.working)
    return root


async def test_an_edit_before_the_run_replaces_the_text(world: World) -> None:
    root = await occupied(world)
    alice = world.slack.user("alice")
    ts = await alice.says("#general", "two plus tow?", thread_ts=root)
    await world.slack.settled()
    await alice.edits("#general", ts, "two plus two?")
    await world.slack.settled()
    world.fake.finish()
    assert (await world.replies("#general", root, 2))[1].endswith("begin | two plus two?")
    assert offers(world) == []


async def test_a_message_deleted_before_the_run_is_not_answered(world: World) -> None:
    root = await occupied(world)
    alice = world.slack.user("alice")
    ts = await alice.says("#general", "never mind", thread_ts=root)
    await world.slack.settled()
    await alice.deletes("#general", ts)
    await world.slack.settled()
    world.fake.finish()
    await world.replies("#general", root)
    assert len(world.slack.replies("#general", root)) == 1


async def test_an_edit_of_the_last_question_offers_another_answer(any_world: World) -> None:
    alice = any_world.slack.user("alice")
    root = await any_world.ask("#general", "@bot capital of Austria?")
    await alice.edits("#general", root, "@bot capital of Australia?")
    (offer,) = await any_world.slack.wait_for(lambda: offers(any_world))
    assert len(any_world.slack.replies("#general", root)) == 1
    await alice.clicks("#general", offer.ts, ACTION)
    answer = (await any_world.replies("#general", root, 2))[1]
    assert "capital of Australia?" in answer
    assert "Austria?" not in answer


async def test_the_twin_of_an_edited_mention_is_not_a_new_question(world: World) -> None:
    world.slack.faults.deliver_twice = True
    root = await world.ask("#general", "@bot one")
    await world.slack.user("alice").edits("#general", root, "@bot two")
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 1
    assert world.fake.created("/responses") == 1


async def test_an_unfurl_or_an_edit_of_an_older_question_makes_no_offer(world: World) -> None:
    alice = world.slack.user("alice")
    root = await world.ask("#general", "@bot one")
    await world.ask("#general", "two", thread_ts=root)
    message = world.slack.workspace.get_message(world.slack.channel("#general").id, root)
    world.slack.workspace.change(message, attachments=[{"fallback": "a page", "id": 1}])
    await alice.edits("#general", root, "@bot another one")
    await world.rests("#general", root)
    assert offers(world) == []
    assert len(world.slack.replies("#general", root)) == 2


async def test_a_deleted_message_leaves_the_conversation(any_world: World) -> None:
    alice = any_world.slack.user("alice")
    root = await any_world.ask("#general", "@bot hello")
    secret = await alice.says("#general", "the password is swordfish", thread_ts=root)
    await any_world.replies("#general", root, 2)
    await alice.deletes("#general", secret)
    await any_world.rests("#general", root)
    await any_world.ask("#general", "what do you know?", thread_ts=root)
    answer = (await any_world.replies("#general", root, 3))[-1]
    assert "hello" in answer
    assert "swordfish" not in answer
    history = await any_world.bot.store.conversations.history(any_world.key("#general", root))
    assert not any(r.role == "user" and "swordfish" in r.text for r in history)


async def test_a_question_that_is_deleted_during_its_answer_leaves_the_conversation(
    world: World,
) -> None:
    """Its answer cannot be posted, but the AI server has both."""
    await delete_while_answering(world, "an answer that no one sees")
    [conversation] = world.fake.conversations.values()
    assert "think" not in repr(conversation.items)


async def test_a_question_whose_answer_was_refused_can_be_deleted(world: World) -> None:
    world.fake.answer = [held("the answer")]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot the password is swordfish")
    await world.slack.wait_for(lambda: world.fake.working)
    world.slack.faults.refuse("chat.postMessage", "is_archived")
    world.fake.finish()
    await world.rests("#general", root)
    [conversation] = world.fake.conversations.values()
    assert "swordfish" in repr(conversation.items)
    await alice.deletes("#general", root)
    await world.rests("#general", root)
    assert "swordfish" not in repr(conversation.items)


async def test_of_two_equal_messages_the_deleted_one_is_removed(world: World) -> None:
    alice = world.slack.user("alice")
    root = await world.ask("#general", "@bot same")
    ts = await alice.says("#general", "same", thread_ts=root)
    await world.replies("#general", root, 2)
    await alice.deletes("#general", ts)
    await world.rests("#general", root)
    await world.ask("#general", "last", thread_ts=root)
    assert (await world.replies("#general", root, 3))[-1] == "turn 3: same | last"


async def test_a_deleted_root_leaves_the_conversation_and_its_thread_continues(
    world: World,
) -> None:
    root = await world.ask("#general", "@bot swordfish")
    await world.slack.user("alice").deletes("#general", root)
    await world.rests("#general", root)
    await world.ask("#general", "and now?", thread_ts=root)
    assert (await world.replies("#general", root, 2))[-1] == "turn 2: and now?"


async def test_edits_and_deletions_apply_to_context_messages(world: World) -> None:
    bob = world.slack.user("bob")
    root = await world.ask("#general", "@bot hello")
    first = await bob.says("#general", "let us use Mongo", thread_ts=root)
    second = await bob.says("#general", "what a fool", thread_ts=root)
    await world.slack.settled()
    await bob.edits("#general", first, "let us use Redis")
    await bob.deletes("#general", second)
    await world.slack.settled()
    await world.ask("#general", "@bot well?", thread_ts=root)
    answer = (await world.replies("#general", root, 2))[1]
    assert answer == "turn 2: hello | bob: let us use Redis | alice: well?"
