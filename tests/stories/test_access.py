"""Who is answered, who is refused, and the explanations."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.models import Message, Thread
from bot.settings import Settings
from bot.slack.access import refusal
from bot.slack.people import Person
from bot.store.channel_settings import ChannelSettings
from bot.texts.access import DEACTIVATED, GUEST, OUTSIDER, PERSON
from tests.world import World, open_world


@pytest.fixture
async def guarded(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world with a guest, an outsider, an admin and two rules."""
    async with open_world(redis_url, tmp_path) as world:
        world.slack.add_user("gina", real_name="Gina Guest", is_guest=True)
        world.slack.add_user("olaf", real_name="Olaf Outsider", team_id="T0ELSEWHERE")
        for name in ("gina", "olaf"):
            await world.slack.user(name).joins("#general")
        yield world


async def test_guests_and_outsiders_get_one_refusal_per_thread(guarded: World) -> None:
    for who, reason in (("gina", GUEST), ("olaf", OUTSIDER)):
        root = await guarded.ask("#general", "@bot hello", who=who)
        (answer,) = await guarded.replies("#general", root)
        assert reason in answer
        assert "ask the person who runs this bot" in answer
        await guarded.slack.user(who).says("#general", "@bot again", thread_ts=root)
        await guarded.rests("#general", root)
        assert len(guarded.slack.replies("#general", root)) == 1
    assert guarded.fake.requests == []


async def test_messages_of_a_guest_do_not_reach_the_model(guarded: World) -> None:
    root = await guarded.ask("#general", "@bot hello")
    await guarded.slack.user("gina").says("#general", "between us", thread_ts=root)
    await guarded.ask("#general", "@bot let me in", who="gina", thread_ts=root)
    await guarded.ask("#general", "@bot more", thread_ts=root)
    answers = await guarded.replies("#general", root, 3)
    assert GUEST in answers[1]
    assert answers[2] == "turn 2: hello | alice: more"


async def test_a_refusal_names_a_person_to_ask(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path) as world:
        alice, bob = world.slack.user("alice"), world.slack.user("bob")
    rules: dict[str, Any] = {"bot_admins": alice.id, "bot_deny_people": bob.id}
    async with open_world(redis_url, tmp_path, **rules) as world:
        ids = {world.slack.user(name).id: name for name in ("alice", "bob")}
        assert ids == {alice.id: "alice", bob.id: "bob"}
        root = await world.ask("#general", "@bot hi", who="bob")
        (answer,) = await world.replies("#general", root)
        assert answer.endswith("ask alice.")
        root = await world.ask("#general", "@bot hi", who="carol")
        assert await world.replies("#general", root) == ["turn 1: hi"]


async def test_people_are_answered_while_users_info_fails(world: World) -> None:
    world.slack.web_api.scopes = frozenset(world.slack.web_api.scopes or ()) - {"users:read"}
    root = await world.ask("#general", "@bot hi")
    assert await world.replies("#general", root) == ["turn 1: hi"]


HERE = Message(Thread("T1", "C1", "1.0"), "1.0", "U1", "hi")
MEMBER = Person("U1", "Una", "T1")


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **({"slack_bot_token": "xoxb-1"} | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "person", "reason"),
    [
        ({}, MEMBER, ""),
        ({}, None, ""),
        ({"bot_deny_people": "U0, U1"}, MEMBER, PERSON),
        ({"bot_deny_people": "U1", "bot_admins": "U1"}, MEMBER, ""),
        ({"bot_allow_people": "U2"}, MEMBER, PERSON),
        ({"bot_allow_people": "U1"}, Person("U1", "Una", "T1", is_guest=True), ""),
        ({"bot_allow_people": "U1", "bot_deny_people": "U1"}, MEMBER, PERSON),
        ({"bot_allow_guests": True}, Person("U1", "Una", "T1", is_guest=True), ""),
        ({}, Person("U1", "Una", "T2"), OUTSIDER),
        ({"bot_allow_outsiders": True}, Person("U1", "Una", "T2"), ""),
        ({"bot_allow_channels": "C1 C2"}, MEMBER, ""),
        ({"bot_allow_channels": "C2"}, MEMBER, "it may not be used in this channel"),
        ({"bot_deny_channels": "C1"}, MEMBER, "it may not be used in this channel"),
        ({"bot_deny_teams": "T1"}, MEMBER, "it may not be used from your workspace"),
        ({"bot_allow_teams": "T2"}, MEMBER, "it may not be used from your workspace"),
    ],
)
def test_deny_overrides_allow(given: dict[str, object], person: Person | None, reason: str) -> None:
    assert refusal(HERE, person, settings(**given), ChannelSettings()) == reason


def test_the_workspace_in_the_event_decides_while_users_info_fails() -> None:
    foreign = Message(HERE.thread, "1.0", "U9", "hi", user_team_id="T9")
    assert refusal(foreign, None, settings(), ChannelSettings()) == OUTSIDER


def test_people_of_the_same_organization_are_not_outsiders() -> None:
    grid = Message(Thread("E1", "C1", "1.0"), "1.0", "U1", "hi", user_team_id="T7")
    assert refusal(grid, Person("U1", "Una", "T7", "E1"), settings(), ChannelSettings()) == ""


@pytest.mark.parametrize("rights", ["member", "admin", "named"])
async def test_a_deactivated_account_has_no_rights(
    redis_url: str, tmp_path: Path, rights: str
) -> None:
    async with open_world(redis_url, tmp_path) as world:
        alice = world.slack.user("alice").id
    rules: dict[str, dict[str, Any]] = {
        "member": {},
        "admin": {"bot_admins": alice},
        "named": {"bot_allow_people": alice, "bot_allow_guests": True, "bot_allow_outsiders": True},
    }
    async with open_world(redis_url, tmp_path, **rules[rights]) as world:
        root = await world.ask("#general", "@bot the word is swordfish")
        world.slack.workspace.users[alice].deleted = True
        world.bot.people.forget(alice)
        await world.ask("#general", "@bot more", thread_ts=root)
        _, refusal = await world.replies("#general", root, 2)
        assert DEACTIVATED in refusal
        assert not await world.bot.people.is_admin(alice)
        assert "alice" not in await world.bot.people.admin_names()
