"""Many workspaces: settings, keys and admins of their own, organizations, the operator's view."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.cli import workspace_admin as admin
from bot.cli.main import commands
from bot.errors import ConfigError
from bot.models import Thread
from bot.settings import Settings
from bot.settings.retention import DAY
from bot.store import Feedback
from bot.store.channel_settings import ChannelSettings
from bot.store.workspace_settings import WorkspaceSettings
from bot.upkeep.sweeper import Sweeper
from local_slack.people import Person
from local_slack.server import open_workspace
from tests.deployment import Deployment, open_deployment
from tests.world import PATIENCE, wait_until, words

TEAMS = ("T1", "T2", "T3")


@pytest.fixture
async def deployment(redis_url: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    async with open_deployment(redis_url, tmp_path, teams=TEAMS) as deployment:
        await deployment.install(*TEAMS)
        yield deployment


async def configure(deployment: Deployment, id: str, **own: object) -> None:
    """Give a workspace its own settings."""
    book = deployment.bot.store.workspaces
    version = await book.newest(id)
    settings = replace(version.settings, **own)  # type: ignore[arg-type]
    assert await book.save(id, settings, user_id="", after=version.number)


async def _wait_for_answers(deployment: Deployment, team: str, count: int) -> None:
    slack = deployment.slack(team)
    await slack.wait_for(lambda: len(_answers(deployment, team)) >= count, PATIENCE)


def _answers(deployment: Deployment, team: str) -> list[str]:
    """What the bot answered in #general, by thread."""
    slack = deployment.slack(team)
    roots = [message for message in slack.messages("#general") if not message.is_reply]
    return [words(reply) for root in roots for reply in slack.replies("#general", root.ts)]


async def test_commands_home_and_deletions_reach_their_own_workspace_only(
    deployment: Deployment,
) -> None:
    for team in TEAMS:
        await deployment.ask(team, f"secret of {team}")
    store = deployment.bot.store
    alice = {team: deployment.slack(team).user("alice") for team in TEAMS}
    await alice["T1"].opens_home()
    await deployment.slack("T1").wait_for(lambda: deployment.slack("T1").workspace.homes)
    shown = str(deployment.slack("T1").workspace.views)
    assert "secret of T1" in shown
    assert "secret of T2" not in shown
    await alice["T1"].slash("/forget-me")
    (asked,) = alice["T1"].ephemerals("#general")
    await alice["T1"].clicks("#general", asked.ts, "errand:forget_me")
    recent = store.conversations.recent

    async def forgotten() -> bool:
        return not await recent("T1", alice["T1"].id, limit=10)

    await wait_until(forgotten)
    for team in ("T2", "T3"):
        assert len(await recent(team, alice[team].id, limit=10)) == 1


async def test_a_channels_settings_apply_in_its_own_workspace(deployment: Deployment) -> None:
    channel = deployment.slack("T1").channel("#general").id
    own = ChannelSettings(instructions="Speak like a pirate.")
    assert await deployment.bot.store.channels.save("T1", channel, own, user_id="U", after=0)
    for team in TEAMS:
        await deployment.ask(team, "hi")
    said = [
        str(request.body) for request in deployment.fake.requests if request.path == "/responses"
    ]
    assert sum("pirate" in body for body in said) == 1


async def test_the_settings_of_a_workspace_apply_to_all_its_channels(
    deployment: Deployment,
) -> None:
    await configure(
        deployment, "T1", model="gpt-own", instructions="Be brief.", limit_person_requests=1
    )
    for team in ("T1", "T2"):
        await deployment.ask(team, "hi")
    bodies = [each.body for each in deployment.fake.requests if each.path == "/responses"]
    assert [body["model"] for body in bodies] == ["gpt-own", deployment.settings.openai_model]
    assert [("Be brief." in body["instructions"]) for body in bodies] == [True, False]
    assert "limit" in await deployment.ask("T1", "again")
    assert "limit" not in await deployment.ask("T2", "again")


async def test_an_admin_of_one_workspace_is_none_in_another(deployment: Deployment) -> None:
    bob = deployment.slack("T1").user("bob").id
    await configure(deployment, "T1", admins=(bob,))
    people = {}
    for team in ("T1", "T2"):
        workspace = await deployment.bot.workspaces.find(team)
        assert workspace is not None
        people[team] = workspace.people
    assert await people["T1"].is_admin(bob)
    assert not await people["T2"].is_admin(bob)


async def test_a_key_without_quota_stops_its_own_workspace_only(deployment: Deployment) -> None:
    options = deployment.fake.options
    options.more_keys, options.exhausted = frozenset({"sk-own"}), frozenset({"sk-own"})
    await deployment.bot.store.workspaces.save_ai_key("T1", "sk-own")
    refused = await deployment.ask("T1", "hi")
    assert await deployment.ask("T2", "hi") == "turn 1: hi"
    assert "turn 1" not in refused
    used = {each.key for each in deployment.fake.requests if each.path == "/responses"}
    assert used == {"sk-own", deployment.fake.api_key}


async def test_another_key_continues_the_conversation_from_the_record(
    deployment: Deployment,
) -> None:
    deployment.fake.options.more_keys = frozenset({"sk-one", "sk-two"})
    book, slack = deployment.bot.store.workspaces, deployment.slack("T1")
    root = await slack.user("alice").says("#general", "@bot first")
    for count, key in enumerate(("", "sk-one", "sk-two"), 1):
        if key:
            await book.save_ai_key("T1", key)
            await slack.user("alice").says("#general", f"@bot {key}", thread_ts=root)
        await _wait_for_answers(deployment, "T1", count)
    answers = [words(message) for message in slack.replies("#general", root)]
    assert "first" in answers[2]
    assert "sk-two" in answers[2]
    keys = [each.key for each in deployment.fake.requests if each.path == "/responses"]
    assert keys == [deployment.fake.api_key, "sk-one", "sk-two"]


async def test_no_key_is_shown_or_stored_in_the_clear(deployment: Deployment) -> None:
    await deployment.bot.store.workspaces.save_ai_key("T1", "sk-own-secret")
    workspace = await deployment.bot.workspaces.find("T1")
    assert "sk-own-secret" not in repr(workspace)
    store = deployment.bot.store
    for key in await store.redis.keys("*sealed*"):
        assert "sk-own-secret" not in str(await store.redis.hgetall(key))
    assert "sk-own-secret" not in admin.render(await admin.fetch(deployment.settings))


async def test_the_operator_sees_and_changes_workspaces(deployment: Deployment) -> None:
    await deployment.ask("T2", "hi")
    changes = admin.parse_changes(
        {"model": "gpt-x", "admins": "U1, U2", "tools_off": None},
        ["person_tokens=5", "person_cost="],
    )
    await admin.change(deployment.settings, "T1", changes, None)
    version = await deployment.bot.store.workspaces.newest("T1")
    assert version.settings == WorkspaceSettings(
        admins=("U1", "U2"), model="gpt-x", limit_person_tokens=5
    )
    table = admin.render(await admin.fetch(deployment.settings)).splitlines()
    assert [line.split()[0] for line in table] == ["ID", "T2", "T1", "T3"]
    assert "admins, model, limit_person_tokens" in table[2]
    assert await admin.remove(deployment.settings, "T3")
    assert "removed" in admin.render(await admin.fetch(deployment.settings))
    with pytest.raises(Exception, match="T9 has not installed"):
        await admin.change(deployment.settings, "T9", {}, None)


async def test_a_key_that_does_not_work_is_not_saved(deployment: Deployment) -> None:
    with pytest.raises(Exception, match="was not saved"):
        await admin.change(deployment.settings, "T1", {}, "sk-wrong")
    assert await deployment.bot.store.workspaces.ai_key("T1") is None
    deployment.fake.options.more_keys = frozenset({"sk-right"})
    await admin.change(deployment.settings, "T1", {}, "sk-right")
    assert await deployment.bot.store.workspaces.ai_key("T1") == "sk-right"
    await admin.change(deployment.settings, "T1", {}, "")
    assert await deployment.bot.store.workspaces.ai_key("T1") is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--admin-limit", "person_tokens=5.5"),
        ("--retention-days", "-1"),
        ("--retention-days", "31"),
        ("--admins", "bob"),
        ("--tools-off", "wiki"),
        ("--instructions", "x" * 3001),
        ("--limit", "person_cost=5"),
    ],
)
def test_values_that_would_have_no_effect_are_refused(option: str, value: str) -> None:
    result = CliRunner().invoke(
        commands,
        ["workspaces", "set", "T1", option, value],
        env={"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "OPENAI_API_KEY": "sk-1"},
    )
    assert result.exit_code == 2, result.output
    assert option in result.output or "BOT_PRICES" in result.output


@pytest.mark.parametrize("limit", ["tokens=5", "person_tokens=-1", "person_cost=nan", "x"])
def test_a_wrong_limit_is_refused(limit: str) -> None:
    result = CliRunner().invoke(
        commands,
        ["workspaces", "set", "T1", "--limit", limit],
        env={"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "OPENAI_API_KEY": "sk-1"},
    )
    assert result.exit_code == 2
    assert "--limit" in result.output


async def test_an_organization_is_one_installation_for_its_workspaces(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_deployment(
        redis_url, tmp_path, teams=("T1",), organizations=("E1",)
    ) as deployment:
        await deployment.install("T1", "E1")
        assert await deployment.ask("E1", "hi") == "turn 1: hi"
        slack, store = deployment.slack("E1"), deployment.bot.store
        assert slack.workspace.team_id == "TE1"
        assert await store.redis.keys("*:conversation:E1:*")
        assert not await store.redis.keys("*:conversation:TE1:*")
        alice = slack.user("alice")
        await alice.opens_home()
        await slack.wait_for(lambda: "hi" in str(slack.workspace.views))
        workspace = await deployment.bot.workspaces.find("E1")
        assert workspace is not None
        private = slack.add_channel("secret", ["bob"], private=True)
        assert not await workspace.channels.can_see(alice.id, private.id)
        assert await workspace.channels.can_see(slack.user("bob").id, private.id)
        asked = [each.args for each in slack.calls if each.method == "users.conversations"]
        assert {call.get("team_id") for call in asked} == {"TE1"}
        deployment.distribution.send("E1", {"type": "team_access_revoked", "team_ids": ["TE1"]})
        await slack.settled()
        assert await deployment.ask("T1", "hi")


async def test_an_organization_that_removes_the_bot_leaves_the_others(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_deployment(
        redis_url, tmp_path, teams=("T1",), organizations=("E1",)
    ) as deployment:
        await deployment.install("T1", "E1")
        store = deployment.bot.store
        found = await store.installations.find("E1")
        assert found is not None
        assert (found.team_id, found.enterprise_id) == ("", "E1")
        await store.redis.hdel(store.keys.installed, "E1")
        await store.installations.save(replace(found, installed_at=found.installed_at - 60))
        deployment.distribution.uninstall("E1")

        async def gone() -> bool:
            return await store.installations.find("E1") is None

        await wait_until(gone)
        assert await deployment.ask("T1", "hi")


async def _open_form(deployment: Deployment, who: str = "alice") -> Person:
    """A person who becomes an admin and has the form of the workspace open."""
    person = deployment.slack("T1").user(who)
    deployment.slack("T1").workspace.users[person.id].is_admin = True
    await _open_home(deployment, person)
    await person.clicks_in_view("edit_workspace", view_id=_home_of(deployment, person))
    return person


async def _open_home(deployment: Deployment, person: Person) -> None:
    await person.opens_home()
    await deployment.slack("T1").settled()


def _home_of(deployment: Deployment, person: Person) -> str:
    return deployment.slack("T1").workspace.homes[person.id]


async def test_admins_change_their_workspace_in_home(deployment: Deployment) -> None:
    alice = await _open_form(deployment)
    await alice.submits({"instructions": "Answer in Dutch.", "model": "gpt-home"})
    version = await deployment.bot.store.workspaces.newest("T1")
    assert (version.user_id, version.settings.instructions) == (alice.id, "Answer in Dutch.")
    assert (await deployment.bot.store.workspaces.newest("T2")).number == 0
    await deployment.ask("T1", "hi")
    await deployment.ask("T2", "hi")
    bodies = [each.body for each in deployment.fake.requests if each.path == "/responses"]
    assert [body["model"] for body in bodies] == ["gpt-home", deployment.settings.openai_model]


async def test_admins_lower_limits_and_retention_but_do_not_raise_them(
    deployment: Deployment,
) -> None:
    await configure(deployment, "T1", limit_person_tokens=1000)
    alice, book = await _open_form(deployment), deployment.bot.store.workspaces
    refused = await alice.submits(
        {
            "admin_limit_person_tokens": "1001",
            "admin_limit_channel_requests": "many",
            "retention_days": "31",
        }
    )
    assert set(refused.body["errors"]) == {
        *("admin_limit_person_tokens", "admin_limit_channel_requests", "retention_days")
    }
    assert (await book.newest("T1")).number == 1
    await alice.submits(
        {
            "admin_limit_person_tokens": "900",
            "admin_limit_channel_requests": "",
            "admin_limit_person_requests": "1",
            "retention_days": "7",
        }
    )
    saved = (await book.newest("T1")).settings
    assert (saved.limit_person_tokens, saved.admin_limit_person_tokens) == (1000, 900)
    assert saved.retention_days == 7
    workspace = await deployment.bot.workspaces.find("T1")
    assert workspace is not None
    assert workspace.settings.bot_limit_person_tokens == 900
    await deployment.ask("T1", "hi")
    assert "limit" in await deployment.ask("T1", "again")
    await configure(deployment, "T1", limit_person_tokens=500)  # the form still opens
    alice = await _open_form(deployment)
    assert "500" in str(deployment.slack("T1").workspace.views[_top(deployment)].payload)
    workspace = await deployment.bot.workspaces.find("T1")
    assert workspace is not None
    assert workspace.settings.bot_limit_person_tokens == 500


async def test_limits_of_the_cost_are_offered_where_prices_are_known(
    deployment: Deployment,
) -> None:
    await _open_form(deployment)
    shown = str(deployment.slack("T1").workspace.views[_top(deployment)].payload)
    assert "admin_limit_person_tokens" in shown
    assert "cost" not in shown


async def test_a_workspace_keeps_its_conversations_for_a_shorter_time(
    deployment: Deployment,
) -> None:
    await configure(deployment, "T1", retention_days=7)
    await configure(deployment, "T2", retention_days=300)
    store = deployment.bot.store
    assert await store.workspaces.retention_days() == {"T1": 7, "T2": 300}
    for team in ("T1", "T2"):
        await deployment.ask(team, "hi")
        slack = deployment.slack(team)
        [root] = [each.ts for each in slack.messages("#general") if not each.is_reply]
        thread = Thread(team, slack.channel("#general").id, root)
        await _rests(deployment, thread)
        await store.redis.zadd(store.keys.idle, {thread.key: time.time() - 8 * DAY})
        await store.feedback.save(
            Feedback(team, "r", thread, "U1", "negative", await store.now() - 8 * DAY)
        )
    assert deployment.bot.engine is not None
    sweeper = Sweeper(store, deployment.bot.engine, 30)
    assert (await sweeper.preview()).archived == 1
    swept = await sweeper.sweep_now()
    assert (swept.archived, swept.feedback) == (1, 1)
    assert [each.thread.team_id for each in await store.feedback.list()] == ["T2"]


async def _rests(deployment: Deployment, thread: Thread) -> None:
    async def is_idle() -> bool:
        return (await deployment.bot.store.inbox.state(thread)).state == "idle"

    await wait_until(is_idle)


async def test_the_operators_own_workspace_is_listed_and_changed_like_the_others(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_workspace() as slack:
        slack.workspace.team_id = "T7"
        settings = Settings(
            _env_file=None,
            slack_bot_token=slack.bot_token,
            slack_app_token=slack.app_token,
            slack_api_url=slack.api_url,
            openai_api_key="sk-1",
            redis_url=redis_url,
            bot_redis_prefix="own-workspace",
        )
        assert [row.id for row in await admin.fetch(settings)] == ["T7"]
        with pytest.raises(ConfigError, match="SLACK_CLIENT_ID"):
            await admin.change(settings, "T7", {"model": "m"}, None)
        many = settings.model_copy(update={"slack_client_id": "1.2"})
        await admin.change(many, "T7", {"model": "m"}, None)
        [row] = await admin.fetch(many)
        assert row.own == ("model",)


async def test_the_model_of_a_workspace_is_chosen_from_those_of_the_server(
    deployment: Deployment,
) -> None:
    deployment.fake.options.models = {"gpt-6-luna": None, "gpt-6-sol": None}
    alice = await _open_form(deployment)
    blocks = deployment.slack("T1").workspace.views[_top(deployment)].payload["blocks"]
    [options] = [each["element"]["options"] for each in blocks if each["block_id"] == "model"]
    assert [each["value"] for each in options] == ["default", "gpt-6-luna", "gpt-6-sol"]
    await alice.submits({"model": "gpt-6-sol"})
    assert (await deployment.bot.store.workspaces.newest("T1")).settings.model == "gpt-6-sol"


async def test_a_key_is_tried_before_it_is_saved_and_never_shown(deployment: Deployment) -> None:
    deployment.fake.options.more_keys = frozenset({"sk-theirs"})
    alice, book = await _open_form(deployment), deployment.bot.store.workspaces
    refused = await alice.submits({"key": "sk-wrong"})
    assert "does not work" in str(refused.body)
    assert (await book.newest("T1")).number == 0
    await alice.submits({"key": "sk-theirs"})
    assert await book.ai_key("T1") == "sk-theirs"
    alice = await _open_form(deployment)
    assert "sk-theirs" not in str(deployment.slack("T1").workspace.views[_top(deployment)].payload)
    await alice.submits({"key": "", "key_use": "remove"})
    assert await book.ai_key("T1") is None


def _top(deployment: Deployment) -> str:
    views = deployment.slack("T1").workspace.views
    return [id for id, view in views.items() if view.payload["type"] == "modal"][-1]


async def test_people_who_are_no_admins_see_and_change_nothing(deployment: Deployment) -> None:
    alice = await _open_form(deployment)
    workspace = await deployment.bot.workspaces.find("T1")
    assert workspace is not None
    deployment.slack("T1").workspace.users[alice.id].is_admin = False
    workspace.people.forget(alice.id)
    refused = await alice.submits({"instructions": "Obey me."})
    assert "Only admins" in str(refused.body)
    assert (await deployment.bot.store.workspaces.newest("T1")).number == 0
    await _open_home(deployment, alice)
    home = deployment.slack("T1").workspace.views[_home_of(deployment, alice)]
    assert "edit_workspace" not in str(home.payload)


async def test_the_deployments_admins_are_none_in_other_workspaces(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_deployment(
        redis_url, tmp_path, teams=("T1",), bot_admins=frozenset({"U000000001X"})
    ) as deployment:
        await deployment.install("T1")
        alice = deployment.slack("T1").user("alice")
        assert alice.id == "U000000001X"
        workspace = await deployment.bot.workspaces.find("T1")
        assert workspace is not None
        assert not await workspace.people.is_admin(alice.id)
