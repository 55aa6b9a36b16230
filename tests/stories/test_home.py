"""App Home for people, and its channel settings for admins."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engines.offered import OfferedModels
from bot.slack.surfaces.channel_modal import parse_settings, render_modal
from bot.store import Store
from bot.store.channel_settings import ChannelSettings, Version
from bot.texts.answers import FRESH_START
from local_slack.actions import default_state
from local_slack.people import Person
from tests.world import World, open_world


@pytest.fixture
async def managed(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world with an admin, chief."""
    async with open_world(redis_url, tmp_path) as world:
        await world.slack.add_user("chief", is_admin=True).joins("#general")
        yield world


async def home_of(world: World, who: str) -> str:
    """What a person reads in App Home, after opening it."""
    person = world.slack.user(who)
    await person.opens_home()
    await world.slack.settled()
    assert person.home is not None
    return json.dumps(person.home["blocks"])


async def test_app_home_shows_conversations_to_reset_and_usage(world: World) -> None:
    root = await world.ask("#general", "@bot about cats")
    await world.ask("#random", "@bot about dogs")
    alice = world.slack.user("alice")
    shown = await home_of(world, "alice")
    assert shown.index("about dogs") < shown.index("about cats")
    assert "This month: 2 answers" in shown
    assert "Channel settings" not in shown
    assert "about cats" not in await home_of(world, "bob")

    assert alice.home is not None
    await alice.clicks_in_view("home_reset", view_id=alice.home["id"])
    assert "about dogs" not in json.dumps(alice.home["blocks"])
    await alice.clicks_in_view("home_reset", view_id=alice.home["id"])
    assert (await world.replies("#general", root, 2))[1] == FRESH_START
    assert "None yet." in await home_of(world, "alice")


async def test_home_begins_with_what_can_be_done_and_ends_with_the_help(managed: World) -> None:
    shown = await home_of(managed, "chief")
    headings = ("Your conversations", "Channel settings", "Your usage", "What I can do")
    places = [shown.index(heading) for heading in headings]
    assert places == sorted(places)
    assert places[0] < 200


async def test_an_admin_sets_a_channel_s_instructions_and_model(managed: World) -> None:
    world, chief = managed, managed.slack.user("chief")
    channel_id = world.slack.channel("#general").id
    await home_of(world, "chief")
    assert chief.home is not None
    await chief.clicks_in_view("configure_channel", channel_id, view_id=chief.home["id"])
    await chief.submits({"instructions": "Speak like a pirate.", "model": "gpt-6-sol"})
    assert chief.modals == []
    assert "version 1" in json.dumps(chief.home["blocks"])

    await world.ask("#general", "@bot hello")
    request = next(r for r in world.fake.requests if r.path == "/responses")
    assert request.body["model"] == "gpt-6-sol"
    assert request.body["instructions"].endswith("\n\nSpeak like a pirate.")
    assert request.body["instructions"].startswith(world.settings.bot_instructions)

    await chief.clicks_in_view("edit_channel", view_id=chief.home["id"])
    assert "Speak like a pirate." in json.dumps(chief.modals[-1].payload)
    await chief.submits({"model": ""})
    versions = await world.bot.store.channels.versions(world.slack.workspace.team_id, channel_id)
    assert [(v.number, v.user_id) for v in versions] == [(2, chief.id), (1, chief.id)]


async def test_a_channel_can_be_for_some_people_or_for_guests_too(managed: World) -> None:
    world, chief = managed, managed.slack.user("chief")
    gina = world.slack.add_user("gina", is_guest=True)
    await gina.joins("#general")
    team_id, channel_id = world.slack.workspace.team_id, world.slack.channel("#general").id
    open_to_all = ChannelSettings(users="guests")
    save = world.bot.store.channels.save
    assert await save(team_id, channel_id, open_to_all, user_id=chief.id, after=0)
    root = await world.ask("#general", "@bot hi", who="gina")
    assert await world.replies("#general", root) == ["turn 1: hi"]

    for_gina = replace(open_to_all, users="people", people=(gina.id,))
    assert await save(team_id, channel_id, for_gina, user_id=chief.id, after=1)
    root = await world.ask("#general", "@bot hi", who="gina")
    assert await world.replies("#general", root) == ["turn 1: hi"]
    root = await world.ask("#general", "@bot hi", who="alice")
    assert "not among those" in (await world.replies("#general", root))[0]


async def test_errors_are_shown_in_the_modal(managed: World) -> None:
    world, chief = managed, managed.slack.user("chief")
    channel_id = world.slack.channel("#general").id
    await home_of(world, "chief")
    assert chief.home is not None
    await chief.clicks_in_view("configure_channel", channel_id, view_id=chief.home["id"])
    await chief.submits({"users": "people"})
    assert "Name at least one person" in chief.modals[-1].errors["people"]

    team_id = world.slack.workspace.team_id
    save = world.bot.store.channels.save
    assert await save(team_id, channel_id, ChannelSettings(), user_id="U0", after=0)
    await chief.submits({"users": "members"})
    assert "has changed these settings" in chief.modals[-1].errors["instructions"]


async def test_home_summarizes_each_channels_settings_in_one_line(managed: World) -> None:
    world, team_id = managed, managed.slack.workspace.team_id
    many = tuple(f"U{number:09d}" for number in range(300))
    for name, settings in (
        ("#general", ChannelSettings("Be brief.", "gpt", "mentions", "people", many)),
        ("#random", ChannelSettings(users="guests")),
    ):
        channel_id = world.slack.channel(name).id
        assert await world.bot.store.channels.save(
            team_id, channel_id, settings, user_id=many[0], after=0
        )
    shown = await home_of(world, "chief")
    people = ", ".join(f"<@{user_id}>" for user_id in many[:5])
    assert f"own instructions; `gpt`; answers mentions only; only {people}, 295 more" in shown
    assert ">*: guests and other workspaces, too\\n" in shown


async def test_only_admins_change_settings(managed: World) -> None:
    world, chief = managed, managed.slack.user("chief")
    channel_id = world.slack.channel("#general").id
    await home_of(world, "chief")
    assert chief.home is not None
    await chief.clicks_in_view("configure_channel", channel_id, view_id=chief.home["id"])
    world.slack.workspace.users[chief.id].is_admin = False
    world.bot.people.forget(chief.id)
    await chief.submits({"model": "gpt-6-sol"})
    assert "Only admins" in chief.modals[-1].errors["instructions"]


async def test_two_admins_do_not_overwrite_each_other(store: Store) -> None:
    for after, saved in ((0, True), (0, False), (1, True), (3, False)):
        settings = ChannelSettings(model=f"after {after}")
        assert saved == await store.channels.save("T1", "C1", settings, user_id="U1", after=after)
    assert (await store.channels.find("T1", "C1")).model == "after 1"
    assert await store.channels.configured("T1") == ["C1"]


def test_a_submitted_modal_returns_the_shown_settings() -> None:
    settings = ChannelSettings("Be brief.", "gpt", "mentions", "people", ("U1", "U2"), ("U3",))
    view = render_modal("C1", [Version(1, "U1", 0.0, settings)])
    assert parse_settings(default_state(view["blocks"])) == settings
    assert parse_settings(default_state(render_modal("C1", [])["blocks"])) == ChannelSettings()
    servers, settings = ("calendar", "wiki"), replace(settings, servers_off=("wiki",))
    view = render_modal("C1", [Version(1, "U1", 0.0, settings)], servers)
    assert parse_settings(default_state(view["blocks"]), servers) == settings
    old_form = default_state(render_modal("C1", [])["blocks"])
    assert parse_settings(old_form, servers).servers_off == (), "a form without the menu"


def model_menu(chief: Person) -> list[str]:
    """The models that the open form offers; none if it asks for a text."""
    blocks = {block.get("block_id"): block for block in chief.modals[-1].payload["blocks"]}
    options = blocks["model"]["element"].get("options", ())
    return [option["value"] for option in options]


@pytest.mark.parametrize(
    ("configured", "served", "offered"),
    [
        (
            "",
            ["gpt-6-sol", "gpt-6-luna", "text-embedding-4", "whisper-2"],
            ["gpt-6-luna", "gpt-6-sol"],
        ),
        ("a, b", ["gpt-6-sol"], ["a", "b"]),
        ("", ["x" * 76], []),
        ("", [], []),
    ],
)
async def test_an_admin_chooses_among_the_models(
    redis_url: str, tmp_path: Path, configured: str, served: list[str], offered: list[str]
) -> None:
    given: dict[str, Any] = {"bot_models": configured, "fake": {"models": dict.fromkeys(served)}}
    async with open_world(redis_url, tmp_path, **given) as world:
        chief = world.slack.add_user("chief", is_admin=True)
        channel_id = world.slack.channel("#general").id
        await home_of(world, "chief")
        assert chief.home is not None
        await chief.clicks_in_view("configure_channel", channel_id, view_id=chief.home["id"])
        assert model_menu(chief) == (["default", *offered] if offered else [])
        await chief.submits({"model": (offered or ["typed"])[-1]})
        team_id = world.slack.workspace.team_id
        saved = await world.bot.store.channels.find(team_id, channel_id)
        assert saved.model == (offered or ["typed"])[-1]


async def test_a_server_that_does_not_answer_leaves_the_model_a_text(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, openai_base_url="http://127.0.0.1:9/v1") as world:
        models = OfferedModels(world.settings)
        assert await models.list() == ()


def test_a_model_that_is_not_offered_any_more_stays_chosen() -> None:
    version = Version(1, "U1", 0.0, ChannelSettings(model="retired"))
    for models in ((), ("new",)):
        view = render_modal("C1", [version], (), models)
        assert parse_settings(default_state(view["blocks"])).model == "retired"
    view = render_modal("C1", [], (), ("new",))
    assert parse_settings(default_state(view["blocks"])).model == ""
