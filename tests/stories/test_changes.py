"""People edit and delete what they wrote: before, while and after it is answered."""

from bot.slack.changes import ACTION
from local_slack.workspace.model import Message
from tests.fakes.openai import held
from tests.world import Town


def offers(town: Town) -> list[Message]:
    shown = town.slack.user("alice").ephemerals("#general")
    return [m for m in shown if any(b["type"] == "actions" for b in m.blocks)]


async def occupied(town: Town) -> str:
    """A thread in which an answer is being made; what is said there has to wait."""
    town.fake.answer = [held("first")]
    root = await town.slack.user("alice").says("#general", "@bot begin")
    await town.slack.wait_for(lambda: town.fake.working)
    return root


async def test_an_edit_before_the_run_replaces_the_text(town: Town) -> None:
    root = await occupied(town)
    alice = town.slack.user("alice")
    ts = await alice.says("#general", "two plus tow?", thread_ts=root)
    await town.slack.settled()
    await alice.edits("#general", ts, "two plus two?")
    await town.slack.settled()
    town.fake.finish()
    assert (await town.replies("#general", root, 2))[1].endswith("begin | two plus two?")
    assert offers(town) == []


async def test_a_message_deleted_before_the_run_is_not_answered(town: Town) -> None:
    root = await occupied(town)
    alice = town.slack.user("alice")
    ts = await alice.says("#general", "never mind", thread_ts=root)
    await town.slack.settled()
    await alice.deletes("#general", ts)
    await town.slack.settled()
    town.fake.finish()
    await town.replies("#general", root)
    assert len(town.slack.replies("#general", root)) == 1


async def test_an_edit_of_the_last_question_offers_another_answer(any_town: Town) -> None:
    alice = any_town.slack.user("alice")
    root = await any_town.ask("#general", "@bot capital of Austria?")
    await alice.edits("#general", root, "@bot capital of Australia?")
    (offer,) = await any_town.slack.wait_for(lambda: offers(any_town))
    assert len(any_town.slack.replies("#general", root)) == 1
    await alice.clicks("#general", offer.ts, ACTION)
    answer = (await any_town.replies("#general", root, 2))[1]
    assert "capital of Australia?" in answer
    assert "Austria?" not in answer


async def test_the_twin_of_an_edited_mention_is_no_new_question(town: Town) -> None:
    town.slack.faults.deliver_twice = True
    root = await town.ask("#general", "@bot one")
    await town.slack.user("alice").edits("#general", root, "@bot two")
    await town.rests("#general", root)
    assert len(town.slack.replies("#general", root)) == 1
    assert town.fake.created("/responses") == 1


async def test_an_unfurl_and_an_edit_of_an_older_question_offer_nothing(town: Town) -> None:
    alice = town.slack.user("alice")
    root = await town.ask("#general", "@bot one")
    await town.ask("#general", "two", thread_ts=root)
    message = town.slack.workspace.get_message(town.slack.channel("#general").id, root)
    town.slack.workspace.change(message, attachments=[{"fallback": "a page", "id": 1}])
    await alice.edits("#general", root, "@bot another one")
    await town.rests("#general", root)
    assert offers(town) == []
    assert len(town.slack.replies("#general", root)) == 2


async def test_a_deleted_message_leaves_the_conversation(any_town: Town) -> None:
    alice = any_town.slack.user("alice")
    root = await any_town.ask("#general", "@bot hello")
    secret = await alice.says("#general", "the password is swordfish", thread_ts=root)
    await any_town.replies("#general", root, 2)
    await alice.deletes("#general", secret)
    await any_town.rests("#general", root)
    await any_town.ask("#general", "what do you know?", thread_ts=root)
    answer = (await any_town.replies("#general", root, 3))[-1]
    assert "hello" in answer
    assert "swordfish" not in answer
    history = await any_town.bot.store.conversations.history(any_town.key("#general", root))
    assert not any(r.role == "user" and "swordfish" in r.text for r in history)


async def test_of_two_equal_messages_the_deleted_one_goes(town: Town) -> None:
    alice = town.slack.user("alice")
    root = await town.ask("#general", "@bot same")
    ts = await alice.says("#general", "same", thread_ts=root)
    await town.replies("#general", root, 2)
    await alice.deletes("#general", ts)
    await town.rests("#general", root)
    await town.ask("#general", "last", thread_ts=root)
    assert (await town.replies("#general", root, 3))[-1] == "turn 3: same | last"


async def test_a_deleted_root_leaves_the_conversation_and_its_thread_goes_on(town: Town) -> None:
    root = await town.ask("#general", "@bot swordfish")
    await town.slack.user("alice").deletes("#general", root)
    await town.rests("#general", root)
    await town.ask("#general", "and now?", thread_ts=root)
    assert (await town.replies("#general", root, 2))[-1] == "turn 2: and now?"


async def test_what_was_overheard_is_edited_and_deleted_too(town: Town) -> None:
    bob = town.slack.user("bob")
    root = await town.ask("#general", "@bot hello")
    first = await bob.says("#general", "let us use Mongo", thread_ts=root)
    second = await bob.says("#general", "what a fool", thread_ts=root)
    await town.slack.settled()
    await bob.edits("#general", first, "let us use Redis")
    await bob.deletes("#general", second)
    await town.slack.settled()
    await town.ask("#general", "@bot well?", thread_ts=root)
    answer = (await town.replies("#general", root, 2))[1]
    assert answer == "turn 2: hello | bob: let us use Redis | alice: well?"
