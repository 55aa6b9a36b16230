"""Conversations whose record was deleted because Redis was full."""

from tests.stories.test_ai_faults import texts
from tests.world import World


async def evict(world: World, channel: str, root: str) -> None:
    """Delete the texts of a thread's record."""
    assert await world.bot.store.space.evict([world.key(channel, root)]) == 1


async def vanish(world: World, channel: str, root: str) -> str:
    """Let the AI server lose the thread's conversation; returns its id."""
    found = await world.bot.store.conversations.find(world.key(channel, root))
    assert found is not None
    world.fake.vanish(found.id)
    return found.id


async def test_an_evicted_record_is_read_from_slack_for_a_rebuild(world: World) -> None:
    """All but what was said before a reset; our record has the lines of later turns."""
    root = await world.ask("#general", "@bot before the reset")
    await world.ask("#general", "@bot reset", thread_ts=root)
    for text in ("one", "two"):
        await world.ask("#general", text, thread_ts=root)
    await evict(world, "#general", root)
    await world.ask("#general", "three", thread_ts=root)
    before = await vanish(world, "#general", root)
    await world.ask("#general", "four", thread_ts=root)
    answers = await world.replies("#general", root, 6)
    assert answers[-1] == "turn 4: one | two | three | four"
    assert texts(world) == [["one", "two", "three", "four"]]
    found = await world.bot.store.conversations.find(world.key("#general", root))
    assert found is not None
    assert found.id != before


async def test_a_message_is_forgotten_though_its_record_was_evicted(world: World) -> None:
    world.fake.answer, alice = "fine", world.slack.user("alice")
    root = await world.ask("#general", "@bot hello")
    secret = await alice.says("#general", "my password is hunter2", thread_ts=root)
    await world.replies("#general", root, 2)
    await evict(world, "#general", root)
    await alice.deletes("#general", secret)
    await world.rests("#general", root)
    before = len(world.fake.requests)
    await world.ask("#general", "@bot go on", thread_ts=root)
    sent = str([request.body for request in world.fake.requests[before:] if request.body])
    assert "hello" in sent
    assert "hunter2" not in sent
