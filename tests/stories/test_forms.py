"""Forms: a tool asks its requester a question during a call."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.slack import approval_card as card
from bot.texts import approvals as texts
from bot.texts import forms
from bot.timing import Timing
from tests.fakes.openai import Call, calling
from tests.stories.test_approvals import answers, ask, cards, is_open, outputs, shown
from tests.stories.tools import OpenTools
from tests.tools import questions
from tests.tools.servers import serve_http
from tests.world import GROWING, PATIENCE, World, open_world

TIMING = GROWING
ORDER = calling(Call("shop__order", '{"item": "tea"}'))
CLEAR = calling(Call("shop__clear", "{}"))
PAY = calling(Call("shop__pay", "{}"))
FILLED = {"field0": "Ada", "field1": "3", "field2": "1", "field3": "0"}


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders"
    path.touch()
    return path


@pytest.fixture
async def shop(orders: Path) -> AsyncIterator[str]:
    async with serve_http(questions.build(orders)) as url:
        yield url


@pytest.fixture
def open_shop(redis_url: str, tmp_path: Path, timing: Timing, shop: str) -> OpenTools:
    def open_(head: str = "", **given: Any) -> AbstractAsyncContextManager[World]:
        path = tmp_path / "tools.toml"
        path.write_text(f'{head}\n[servers.shop]\nurl = "{shop}"\n')
        return open_world(redis_url, tmp_path, timing=timing, bot_tools=path, **given)

    return open_


def ordered(orders: Path) -> list[str]:
    return orders.read_text().splitlines()


async def fill_in(world: World, who: str = "alice", **values: Any) -> dict[str, str]:
    """Submit a person's open modal; returns its errors."""
    person = world.slack.user(who)
    delivery = await person.submits(FILLED | values)
    body = delivery.body if isinstance(delivery.body, dict) else {}
    return dict(body.get("errors") or {})


async def test_a_form_is_filled_in_and_the_call_continues(
    open_shop: OpenTools, orders: Path
) -> None:
    async with open_shop() as world:
        world.fake.answer = [ORDER, "Ordered."]
        root, asked = await ask(world, "@bot order tea")
        assert forms.QUESTION in shown(asked)
        assert "How do you want tea?" in shown(asked)
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.ANSWER)
        assert await fill_in(world) == {}
        assert await answers(world, root) == ["Ordered."]
        assert f"Answered by <@{alice.id}>" in shown(cards(world, root)[0])
        assert "Ada" not in shown(cards(world, root)[0])
        assert "ordered 3 x tea" in outputs(world)[0]
    assert ordered(orders) == ["tea 3 large True Ada"]


async def test_a_wrong_answer_is_shown_again_with_its_errors(
    open_shop: OpenTools, orders: Path
) -> None:
    async with open_shop() as world:
        world.fake.answer = [ORDER, "Ordered."]
        root, asked = await ask(world, "@bot order tea")
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.ANSWER)
        wrong = await fill_in(world, field0="x", field1="10")
        assert wrong == {"field0": forms.longer(2), "field1": forms.at_most(9)}
        assert is_open(cards(world, root)[0])
        assert await fill_in(world) == {}
        assert await answers(world, root) == ["Ordered."]
    assert len(ordered(orders)) == 1


async def test_a_form_is_answered_after_the_bot_and_the_server_were_replaced(
    redis_url: str, tmp_path: Path, timing: Timing, orders: Path
) -> None:
    async with serve_http(questions.build(orders)) as url:
        path = tmp_path / "tools.toml"
        path.write_text(f'[servers.shop]\nurl = "{url}"\n')
        opened = open_world(redis_url, tmp_path, timing=timing, bot_tools=path, socket_mode=False)
        world = await opened.__aenter__()
        world.fake.answer = [ORDER, "Ordered."]
        root, asked = await ask(world, "@bot order tea")
    world = await world.replaced()
    async with serve_http(questions.build(orders), port=urlsplit(url).port or 0):
        await world.slack.user("alice").clicks("#general", asked.ts, card.ANSWER)
        assert await fill_in(world) == {}
        assert await answers(world, root) == ["Ordered."]
        assert len(cards(world, root)) == 1
        await opened.__aexit__(None, None, None)
    assert len(ordered(orders)) == 1


async def test_buttons_of_other_cards_do_not_answer_a_form(
    open_shop: OpenTools, orders: Path
) -> None:
    async with open_shop() as world:
        world.fake.answer = [ORDER, "Ordered."]
        root, asked = await ask(world, "@bot order tea")
        alice = world.slack.user("alice")
        click = deepcopy((await alice.clicks("#general", asked.ts, card.ANSWER)).payload)
        for action_id in (card.ALLOW, card.ALLOW_IN_THREAD, card.DONE):
            click["actions"][0]["action_id"] = action_id
            await world.slack.deliveries_to_app.send_interaction("interactive", action_id, click)
        assert is_open(cards(world, root)[0])
        assert await fill_in(world) == {}
        assert await answers(world, root) == ["Ordered."]
    assert ordered(orders) == ["tea 3 large True Ada"]


async def test_a_form_submitted_twice_is_answered_once(open_shop: OpenTools, orders: Path) -> None:
    async with open_shop() as world:
        world.fake.answer = [ORDER, "Ordered."]
        root, asked = await ask(world, "@bot order tea")
        alice = world.slack.user("alice")
        for _ in range(2):
            await alice.clicks("#general", asked.ts, card.ANSWER)
        first, second = alice.modals
        await alice.submits(FILLED, view_id=second.id)
        await alice.submits(FILLED | {"field1": "4"}, view_id=first.id)
        assert await answers(world, root) == ["Ordered."]
    assert ordered(orders) == ["tea 3 large True Ada"]


async def test_another_person_cannot_answer(open_shop: OpenTools, orders: Path) -> None:
    async with open_shop() as world:
        world.fake.answer = [ORDER, "Not ordered."]
        root, asked = await ask(world, "@bot order tea")
        bob = world.slack.user("bob")
        for action_id in (card.ANSWER, card.DECLINE):
            await bob.clicks("#general", asked.ts, action_id)
        assert bob.modals == []
        assert texts.OTHER_PERSON in bob.ephemerals("#general")[0].text
        await world.slack.user("alice").clicks("#general", asked.ts, card.DECLINE)
        assert await answers(world, root) == ["Not ordered."]
        assert "Declined by" in shown(cards(world, root)[0])
    assert ordered(orders) == []


@pytest.mark.parametrize("end", ["message", "stop", "expired"])
async def test_a_question_without_an_answer_is_cancelled(
    open_shop: OpenTools, orders: Path, end: str
) -> None:
    async with open_shop("approval_hours = 0.0004" if end == "expired" else "") as world:
        world.fake.answer = [ORDER, "Not ordered.", "Next."]
        root = await world.slack.user("alice").says("#general", "@bot order tea")
        await world.slack.wait_for(lambda: cards(world, root), PATIENCE)
        if end != "expired":
            said = "@bot stop" if end == "stop" else "@bot no, coffee"
            await world.slack.user("alice").says("#general", said, thread_ts=root)
        await world.slack.wait_for(lambda: not is_open(cards(world, root)[0]), PATIENCE)
        await world.rests("#general", root)
        words = "Expired" if end == "expired" else "Withdrawn"
        assert words in shown(cards(world, root)[0])
    assert ordered(orders) == []


async def test_a_question_without_fields_is_a_confirmation(open_shop: OpenTools) -> None:
    async with open_shop() as world:
        world.fake.answer = [CLEAR, "Deleted."]
        root, asked = await ask(world, "@bot delete all")
        assert "Are you sure?" in shown(asked)
        alice = world.slack.user("alice")
        await alice.clicks("#general", asked.ts, card.ANSWER)
        await alice.submits({})
        assert await answers(world, root) == ["Deleted."]
        assert "deletion: accept" in outputs(world)[0]
        assert f"Answered by <@{alice.id}>" in shown(cards(world, root)[0])


async def test_a_visited_address_is_confirmed_by_its_requester(open_shop: OpenTools) -> None:
    async with open_shop() as world:
        world.fake.answer = [PAY, "Paid."]
        root, asked = await ask(world, "@bot pay")
        assert "Address: https://pay.example.com/now" in shown(asked)
        assert "Domain: pay.example.com" in shown(asked)
        alice, bob = world.slack.user("alice"), world.slack.user("bob")
        await bob.clicks("#general", asked.ts, card.DONE)
        await alice.clicks("#general", asked.ts, card.OPEN)
        await world.wait_for_state(world.key("#general", root), "later")
        await alice.clicks("#general", asked.ts, card.DONE)
        assert await answers(world, root) == ["Paid."]
        assert "payment: accept" in outputs(world)[0]
