"""Approvals: the policy asks, a card is shown, the right person decides, another worker
continues."""

import asyncio
from collections.abc import Callable
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import pytest

from bot.slack import approval_card as card
from bot.slack.approval_card import Press
from bot.store import Decision
from bot.store.channel_settings import ChannelSettings
from bot.texts import approvals as texts
from local_slack.workspace.model import Message
from tests.fakes.openai import Call, calling
from tests.stories.tools import OpenTools, effects
from tests.world import GROWING, PATIENCE, World

TIMING = GROWING
WRITE = calling(Call("s__write", '{"text": "hello"}'))


def cards(world: World, root: str, channel: str = "#general") -> list[Message]:
    """The approval cards in a thread, the oldest first."""
    return [
        message
        for message in world.slack.replies(channel, root)
        if (message.metadata or {}).get("event_type") == "bot_approval"
    ]


def is_open(message: Message) -> bool:
    return any(block["type"] == "actions" for block in message.blocks)


async def ask(
    world: World, text: str = "@bot write", *, who: str = "alice", count: int = 1
) -> tuple[str, Message]:
    """Ask a question that needs an approval; returns the root and the last of `count` cards, once
    the turn is suspended."""
    root = await world.slack.user(who).says("#general", text)
    return root, await suspended(world, root, count)


async def suspended(world: World, root: str, count: int = 1) -> Message:
    await world.slack.wait_for(
        lambda: len([each for each in cards(world, root) if is_open(each)]) >= count, PATIENCE
    )
    thread = world.key("#general", root)
    await world.wait_for_state(thread, "later")
    return copy(cards(world, root)[-1])


async def answers(world: World, root: str) -> list[str]:
    """The bot's messages in the thread except cards, once it is idle."""
    await world.rests("#general", root)
    return [
        text
        for message, text in zip(
            world.slack.replies("#general", root),
            await world.replies("#general", root),
            strict=True,
        )
        if message not in cards(world, root)
    ]


def outputs(world: World) -> list[str]:
    """The outputs of the calls for the model."""
    return [
        item["output"]
        for request in world.fake.requests
        for item in (request.body or {}).get("input", ())
        if isinstance(item, dict) and item.get("type") == "function_call_output"
    ]


async def click_stale(world: World, asked: Message, who: str = "alice") -> None:
    """Press Allow on an outdated card, in a client that has not seen its outcome."""
    message = world.slack.workspace.get_message(asked.channel_id, asked.ts)
    newest, message.blocks = message.blocks, asked.blocks
    try:
        await world.slack.user(who).clicks("#general", asked.ts, card.ALLOW)
    finally:
        message.blocks = newest


def shown(message: Message) -> str:
    return str(message.blocks)


async def test_a_call_is_made_after_its_requester_allowed_it(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        assert "hello" in shown(asked)
        assert effects(counts) == []
        await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Written."]
        [closed] = cards(world, root)
        assert not is_open(closed)
        assert f"Allowed once by <@{world.slack.user('alice').id}>" in shown(closed)
        assert world.slack.replies("#general", root)[0] is closed, "the answer comes below"
    assert effects(counts) == ["write"]


async def test_another_person_is_refused_privately_and_the_card_stays(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        bob = world.slack.user("bob")
        for action_id in (card.ALLOW, card.ALLOW_IN_THREAD, card.DENY):
            await bob.clicks("#general", asked.ts, action_id)
        assert bob.modals == []
        assert [texts.OTHER_PERSON in each.text for each in bob.ephemerals("#general")] == [True]
        assert is_open(cards(world, root)[0])
        await world.wait_for_state(world.key("#general", root), "later")
        await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Written."]
    assert effects(counts) == ["write"]


async def test_a_refusal_with_its_reason_reaches_the_model_and_the_card(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Then not."]
        root, asked = await ask(world)
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.DENY)
        await alice.submits({"reason": "wrong file <!channel>"})
        assert await answers(world, root) == ["Then not."]
        [closed] = cards(world, root)
        assert f"Denied by <@{alice.id}>" in shown(closed)
        assert "wrong file \\u003c!channel>" in closed.blocks[-1]["elements"][0]["text"]
        assert world.slack.pings(closed) == {alice.id}
        assert "wrong file" in outputs(world)[0]
    assert effects(counts) == []


async def test_a_modal_that_is_closed_decides_nothing(open_tools: OpenTools) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.DENY)
        await alice.closes()
        await alice.clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Written."]


async def test_one_of_many_concurrent_clicks_counts_and_the_call_is_made_once(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        alice = world.slack.user("alice")
        clicks = (alice.clicks("#general", asked.ts, card.ALLOW) for _ in range(4))
        deliveries = await asyncio.gather(*clicks)
        assert {delivery.state for delivery in deliveries} == {"acknowledged"}
        assert await answers(world, root) == ["Written."]
        assert alice.ephemerals("#general") == []
    assert effects(counts) == ["write"]


async def test_of_two_people_who_press_at_once_one_decides(
    open_tools: OpenTools, counts: Path
) -> None:
    """Beside them, a form that was opened before the decision is submitted after it."""
    async with open_tools() as world:
        await approved_by(world, "bob", "carol")
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        alice, bob, carol = (world.slack.user(name) for name in ("alice", "bob", "carol"))
        await carol.clicks("#general", asked.ts, card.DENY)
        await asyncio.gather(
            alice.clicks("#general", asked.ts, card.ALLOW),
            bob.clicks("#general", asked.ts, card.ALLOW_IN_THREAD),
        )
        await carol.submits({"reason": "too late"})
        assert await answers(world, root) == ["Written."]
        reported = [len(each.ephemerals("#general")) for each in (alice, bob, carol)]
        assert sum(reported) <= 2, "the one who decided gets no message"
        assert 0 in reported[:2]
        closed = shown(cards(world, root)[0])
        assert sum(f"<@{each.id}>" in closed for each in (alice, bob)) == 1
        assert carol.id not in closed
    assert effects(counts) == ["write"]


async def test_an_approval_works_after_every_process_was_replaced(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools(socket_mode=False) as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        world = await world.replaced()
        await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Written."]
        assert len(cards(world, root)) == 1
    assert effects(counts) == ["write"]


async def approved_by(world: World, *names: str) -> None:
    """Make people the approvers of #general."""
    where = world.slack.workspace.team_id, world.slack.channel("#general").id
    settings = ChannelSettings(approvers=tuple(world.slack.user(name).id for name in names))
    after = len(await world.bot.store.channels.versions(*where, 50))
    assert await world.bot.store.channels.save(*where, settings, user_id="U1", after=after)


def deactivate(world: World, name: str) -> None:
    user_id = world.slack.user(name).id
    world.slack.workspace.users[user_id].deleted = True
    world.bot.people.forget(user_id)


async def decide_unchecked(world: World, root: str, asked: Message, who: str) -> None:
    """Store a decision as a click does after its check: its person had the right at that moment."""
    thread, store = world.key("#general", root), world.bot.store
    buttons = next(block for block in asked.blocks if block["type"] == "actions")
    press = Press.parse(buttons["elements"][0]["value"])
    assert press is not None
    pending = await store.approvals.find(thread, press.turn_id, press.id)
    assert pending is not None
    decision = Decision("run", by=world.slack.user(who).id)
    await store.approvals.decide(thread, press.turn_id, pending.approval, decision)


@pytest.mark.parametrize("lost", ["asker_deactivated", "decider_deactivated", "decider_removed"])
async def test_a_right_that_was_lost_before_the_call_takes_effect_counts(
    open_tools: OpenTools, counts: Path, lost: str
) -> None:
    """Of the person who asked, or of the one who allowed it."""
    async with open_tools() as world:
        await approved_by(world, "bob")
        world.fake.answer = [WRITE, "Not written."]
        root, asked = await ask(world)
        if lost == "decider_removed":
            await approved_by(world)
        else:
            deactivate(world, "alice" if lost == "asker_deactivated" else "bob")
        await decide_unchecked(world, root, asked, "bob")
        assert (await answers(world, root))[0] == "Not written."
        [closed] = cards(world, root)
        assert not is_open(closed)
        assert "Allowed" not in shown(closed)
        asker = lost == "asker_deactivated"
        assert (texts.REQUESTER_REFUSED if asker else texts.DECIDER_REFUSED) in outputs(world)[0]
    assert effects(counts) == []


async def test_what_was_allowed_in_the_thread_ends_with_the_right_to_allow_it(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        await approved_by(world, "bob")
        world.fake.answer = [WRITE, "One.", WRITE, "Two.", WRITE]
        root, asked = await ask(world)
        await world.slack.user("bob").clicks("#general", asked.ts, card.ALLOW_IN_THREAD)
        assert await answers(world, root) == ["One."]
        await world.ask("#general", "@bot again", thread_ts=root)
        assert effects(counts) == ["write", "write"]
        deactivate(world, "bob")
        await world.slack.user("alice").says("#general", "@bot again", thread_ts=root)
        await suspended(world, root)
    assert effects(counts) == ["write", "write"]


@pytest.mark.parametrize("end", ["stop", "native_stop", "reset", "edit", "delete", "message"])
async def test_the_end_of_the_question_withdraws_the_card_visibly(
    open_tools: OpenTools, counts: Path, end: str
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Next."]
        root, asked = await ask(world)
        alice = world.slack.user("alice")
        if end == "edit":
            await alice.edits("#general", root, "@bot write something else")
        elif end == "delete":
            await alice.deletes("#general", root)
        elif end == "native_stop":
            await alice.stops("#general", root)
        else:
            said = "@bot and then?" if end == "message" else f"@bot {end}"
            await alice.says("#general", said, thread_ts=root)
        await world.slack.wait_for(lambda: not is_open(cards(world, root)[0]), PATIENCE)
        assert "Withdrawn" in shown(cards(world, root)[0])
        await world.rests("#general", root)
        await click_stale(world, asked)
        assert [each.text for each in alice.ephemerals("#general")][-1] == texts.GONE
    assert effects(counts) == []


@pytest.mark.parametrize("end", ["edit", "message"])
async def test_after_a_withdrawal_the_model_is_informed_and_the_thread_continues(
    open_tools: OpenTools, counts: Path, end: str
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Not written.", "Next."]
        root, _ = await ask(world)
        alice = world.slack.user("alice")
        if end == "edit":
            await alice.edits("#general", root, "@bot write something else")
            assert await answers(world, root) == ["Not written."]
        else:
            await alice.says("#general", "@bot and then?", thread_ts=root)
            await world.slack.wait_for(lambda: len(world.slack.replies("#general", root)) == 3)
            assert await answers(world, root) == ["Not written.", "Next."]
        assert texts.WITHDRAWN[end] in outputs(world)[0]
    assert effects(counts) == []


async def test_a_deletion_withdraws_the_card_with_its_reason(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = ["First.", WRITE, "Not written."]
        root = await world.ask("#general", "@bot first")
        alice = world.slack.user("alice")
        await alice.says("#general", "write", thread_ts=root)
        await suspended(world, root)
        await alice.deletes("#general", root)
        await world.slack.wait_for(lambda: not is_open(cards(world, root)[0]), PATIENCE)
        assert texts.WITHDRAWN["deletion"] in shown(cards(world, root)[0])
        await world.rests("#general", root)
    assert effects(counts) == []


async def test_messages_of_others_wait_behind_the_card_in_order(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written.", "For bob."]
        root, asked = await ask(world)
        for text in ("@bot first", "@bot second"):
            await world.slack.user("bob").says("#general", text, thread_ts=root)
        await world.slack.settled(PATIENCE)
        await world.wait_for_state(world.key("#general", root), "later")
        await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
        await world.slack.wait_for(lambda: len(world.slack.replies("#general", root)) == 3)
        assert await answers(world, root) == ["Written.", "For bob."]
        asked_last = str(world.fake.requests[-1].body["input"])
        assert asked_last.index("first") < asked_last.index("second")
    assert effects(counts) == ["write"]


async def test_an_expired_approval_says_so(open_tools: OpenTools, counts: Path) -> None:
    async with open_tools(head="approval_hours = 0.0003") as world:
        world.fake.answer = [WRITE, "Too late."]
        root = await world.slack.user("alice").says("#general", "@bot write")
        await world.slack.wait_for(lambda: cards(world, root), PATIENCE)
        asked = copy(cards(world, root)[0])
        await world.slack.wait_for(lambda: len(world.slack.replies("#general", root)) == 2)
        assert await answers(world, root) == ["Too late."]
        assert "Expired" in shown(cards(world, root)[0])
        await click_stale(world, asked)
        assert texts.GONE in [each.text for each in world.slack.user("alice").ephemerals()]
    assert effects(counts) == []


async def test_a_copy_of_the_card_elsewhere_decides_nothing(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        alice, bob = world.slack.user("alice"), world.slack.user("bob")
        for channel, thread_ts in (("#random", None), ("#general", root), ("#general", None)):
            ts = await bob.posts(channel, "copied", blocks=asked.blocks, thread_ts=thread_ts)
            await alice.clicks(channel, ts, card.ALLOW)
        assert is_open(cards(world, root)[0])
        await world.wait_for_state(world.key("#general", root), "later")
        assert effects(counts) == []
        await alice.clicks("#general", asked.ts, card.ALLOW)
        assert (await answers(world, root))[0] == "Written."
    assert effects(counts) == ["write"]


FORGERIES: dict[str, Callable[[Any], object]] = {
    "the button of a form": lambda body: body["actions"][0].update(action_id=card.DECLINE),
    "the button of an address": lambda body: body["actions"][0].update(action_id=card.DONE),
    "a value that is none": lambda body: body["actions"][0].update(value="[1]"),
    "another call": lambda body: body["actions"][0].update(
        value=body["actions"][0]["value"].replace("0.0.0", "0.0.1")
    ),
    "another person": lambda body: body["user"].update(id="U0OTHER"),
    "another workspace": lambda body: body["team"].update(id="T0OTHER"),
    "another channel": lambda body: body["channel"].update(id="C0OTHER"),
    "a container elsewhere": lambda body: body["container"].update(channel_id="C0OTHER"),
    "another message": lambda body: body["message"].update(ts="1.000001"),
    "a container of another message": lambda body: body["container"].update(message_ts="1.000001"),
    "another thread": lambda body: body["container"].update(thread_ts="1.000001"),
    "an attachment": lambda body: body["container"].update(type="message_attachment"),
    "an unfurled link": lambda body: body["container"].update(is_app_unfurl=True),
    "a private message": lambda body: body["container"].update(is_ephemeral=True),
}


async def test_a_click_that_differs_in_any_part_decides_nothing(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools(socket_mode=False) as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        alice, bob = world.slack.user("alice"), world.slack.user("bob")
        click = deepcopy((await bob.clicks("#general", asked.ts, card.ALLOW)).payload)
        click["user"] |= {"id": alice.id, "username": "alice", "name": "alice"}
        press = Press.parse(click["actions"][0]["value"])
        assert press is not None
        send, decided = world.slack.deliveries_to_app.send_interaction, []
        for name, forge in FORGERIES.items():
            body = deepcopy(click)
            forge(body)
            await send("interactive", name, body)
            found = await world.bot.store.approvals.find(
                world.key("#general", root), press.turn_id, press.id
            )
            decided += [] if found and found.decision is None else [name]
        assert decided == []
        await send("interactive", "as it is", click)
        assert await answers(world, root) == ["Written."]
    assert effects(counts) == ["write"]


async def test_allow_in_this_thread_applies_to_its_requester_until_a_reset(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "One."]
        root, asked = await ask(world)
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.ALLOW_IN_THREAD)
        assert await answers(world, root) == ["One."]
        assert "Allowed in this thread" in shown(cards(world, root)[0])
        world.fake.answer = [WRITE, "Two."]
        await alice.says("#general", "@bot again", thread_ts=root)
        await world.slack.wait_for(lambda: len(world.slack.replies("#general", root)) == 3)
        assert await answers(world, root) == ["One.", "Two."]
        assert effects(counts) == ["write", "write"]
        for number, who in enumerate(("bob", "alice"), 2):  # bob's call is not alice's
            if who == "alice":
                await alice.says("#general", "@bot reset", thread_ts=root)
                await world.rests("#general", root)
            world.fake.answer = [WRITE, "Three."]
            await world.slack.user(who).says("#general", "@bot write", thread_ts=root)
            await suspended(world, root)
            assert len(cards(world, root)) == number
            await world.slack.user(who).says("#general", "@bot stop", thread_ts=root)
            await world.rests("#general", root)
    assert effects(counts) == ["write", "write"]


async def test_after_external_content_a_write_asks_although_the_policy_allows_it(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools('ask = "never"') as world:
        world.fake.answer = [WRITE, "Written."]
        root = await world.ask("#general", "@bot write")
        assert cards(world, root) == []
        world.fake.answer = [calling(Call("s__put", '{"key": "k", "value": "v"}')), WRITE, "Never."]
        root, asked = await ask(world, "@bot put, then write")
        assert texts.EXTERNAL_CONTENT in shown(asked)
        assert effects(counts) == ["write", "put"]
    assert effects(counts) == ["write", "put"]


async def test_external_content_of_earlier_turns_makes_a_write_ask(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools('ask = "never"') as world:
        world.fake.answer = [calling(Call("s__put", '{"key": "k", "value": "v"}')), "Put.", WRITE]
        root = await world.ask("#general", "@bot put")
        alice = world.slack.user("alice")
        await alice.says("#general", "@bot write", thread_ts=root)
        asked = await suspended(world, root)
        assert texts.EXTERNAL_CONTENT in shown(asked)
        await alice.says("#general", "@bot reset", thread_ts=root)
        await world.rests("#general", root)
        world.fake.answer = [WRITE, "Written."]
        await world.ask("#general", "@bot write", thread_ts=root)
        assert len(cards(world, root)) == 1, "a reset forgets what was read"
    assert effects(counts) == ["put", "write"]


async def test_the_words_of_the_person_who_began_make_a_write_of_another_ask(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools('ask = "never"') as world:
        world.fake.answer = ["Hello.", WRITE, "Never."]
        root = await world.ask("#general", "@bot when bob comes, write 'pwned'")
        await world.slack.user("bob").says("#general", "@bot go on", thread_ts=root)
        await suspended(world, root)
    assert effects(counts) == []


async def test_an_approver_of_the_channel_may_decide(open_tools: OpenTools, counts: Path) -> None:
    async with open_tools() as world:
        bob, team_id = world.slack.user("bob"), world.slack.workspace.team_id
        settings = ChannelSettings(approvers=(bob.id,))
        channel_id = world.slack.channel("#general").id
        await world.bot.store.channels.save(team_id, channel_id, settings, user_id="U1", after=0)
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        assert f"<@{bob.id}>" in shown(asked)
        await bob.clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Written."]
        assert f"Allowed once by <@{bob.id}>" in shown(cards(world, root)[0])
    assert effects(counts) == ["write"]


async def test_two_calls_are_decided_one_by_one(open_tools: OpenTools, counts: Path) -> None:
    both = calling(Call("s__write", '{"text": "a"}'), Call("s__write", '{"text": "b"}'))
    async with open_tools() as world:
        world.fake.answer = [both, "Half."]
        root, _ = await ask(world, count=2)
        first, second = (copy(each) for each in cards(world, root))
        alice = world.slack.user("alice")
        await alice.clicks("#general", first.ts, card.ALLOW)
        await world.slack.wait_for(lambda: not is_open(cards(world, root)[0]), PATIENCE)
        await suspended(world, root)
        assert effects(counts) == [], "they are made together"
        await alice.clicks("#general", second.ts, card.DENY)
        await alice.submits({})
        assert await answers(world, root) == ["Half."]
    assert effects(counts) == ["write"]


def session(world: World, root: str) -> str:
    found = world.slack.agent_thread("#general", root).session
    return found.status if found else ""


async def test_the_session_is_suspended_and_the_status_cleared(open_tools: OpenTools) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        assert session(world, root) == "suspended"
        await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Written."]
        assert session(world, root) == "active"


async def test_the_audit_trail_names_the_decider(open_tools: OpenTools) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, asked = await ask(world)
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Written."]
        [stored] = [each async for each in world.bot.store.audit.read()]
        line = stored.line
        assert (line.policy, line.decision, line.decided_by) == ("ask", "run", alice.id)
        assert (line.tool, line.outcome) == ("write", "done")


async def test_arguments_that_change_behind_the_card_are_not_run(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Not written."]
        root, asked = await ask(world)
        store, thread = world.bot.store, world.key("#general", root)
        name, turn = "=asked:0:0", store.keys.turn(thread)
        journaled = str(await store.redis.hget(turn, name))
        await store.redis.hset(turn, name, journaled.replace("hello", "rm -rf"))
        await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
        assert await answers(world, root) == ["Not written."]
        assert texts.REPLACED in outputs(world)[0]
        assert not is_open(cards(world, root)[0])
    assert effects(counts) == []


async def test_a_call_that_a_person_denied_is_not_run_by_a_policy_or_grant_that_came_later(
    open_tools: OpenTools, counts: Path, tmp_path: Path
) -> None:
    async with open_tools(socket_mode=False) as world:
        world.fake.answer = [WRITE, "Not written."]
        root, asked = await ask(world)
        file = tmp_path / "tools.toml"
        file.write_text(file.read_text() + '\nask = "never"\n')
        world = await world.replaced()
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.DENY)
        await alice.submits({})
        assert await answers(world, root) == ["Not written."]
    assert effects(counts) == []


@pytest.mark.parametrize("text", ["@bot hello", "@bot reset"])
async def test_a_message_behind_a_card_is_answered_with_the_reason_why_it_waits(
    open_tools: OpenTools, text: str
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Written."]
        root, _ = await ask(world)
        bob = world.slack.user("bob")
        await bob.says("#general", text, thread_ts=root)
        await world.slack.wait_for(lambda: bob.ephemerals("#general"), PATIENCE)
        assert bob.ephemerals("#general")[0].text == texts.WAITS_BEHIND
        assert session(world, root) == "suspended"


async def test_a_card_that_slack_refuses_denies_the_call(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [WRITE, "Not written."]
        world.slack.faults.refuse("chat.postMessage", "invalid_blocks")
        root = await world.ask("#general", "@bot write")
        assert await answers(world, root) == ["Not written."]
        assert texts.NOT_SHOWN in outputs(world)[0]
    assert effects(counts) == []
