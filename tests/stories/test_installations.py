"""Workspaces install the bot themselves: the pages, the attacks on them, the events afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from bot.checks import Finding
from bot.errors import StoreUnavailable
from bot.models import Thread
from bot.slack.client import open_client
from bot.slack.delivery_notes import NOT_INSTALLED
from bot.slack.workspace_checks import WorkspaceChecks
from bot.store.families import FAMILIES
from bot.texts import install as texts
from bot.upkeep.sweeper import Sweeper
from local_slack.delivery.events import Event
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.deployment import CALLBACK, PUBLIC_URL, Deployment, open_deployment, query_of
from tests.fakes.openai import held
from tests.world import PATIENCE, open_world, wait_until


@pytest.fixture
async def deployment(redis_url: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    async with open_deployment(redis_url, tmp_path) as deployment:
        yield deployment


async def installed(deployment: Deployment) -> set[str]:
    states = await deployment.bot.store.installations.list()
    return {id for id, state in states.items() if not state.removed_at}


async def test_each_workspace_gets_its_answers_with_its_own_token(deployment: Deployment) -> None:
    await deployment.install("T1", "T2")
    deployment.fake.answer = "from the model"
    asked = [deployment.ask(team, "hi") for team in ("T1", "T2")]
    assert await asyncio.gather(*asked) == ["from the model", "from the model"]
    posts = [len(deployment.slack(team).messages("#general")) for team in ("T1", "T2", "T3")]
    assert posts == [2, 2, 0]


async def test_the_page_of_a_finished_installation_names_the_workspace(
    deployment: Deployment,
) -> None:
    status, text = await deployment.browser().install("T2")
    assert status == 200
    assert "Team T2" in text
    assert await installed(deployment) == {"T2"}


async def test_a_state_works_once_and_in_its_own_browser_only(deployment: Deployment) -> None:
    browser, other = deployment.browser(), deployment.browser()
    callback = await browser.agree("T1")
    stolen = query_of(callback) | {"code": deployment.distribution.agree("T2", CALLBACK)}
    await other.open_install_page()
    for attempt in (other.get(callback), other.get(f"{CALLBACK}?{urlencode(stolen)}")):
        status, text, _ = await attempt
        assert (status, texts.STALE in text) == (400, True)
    assert await installed(deployment) == set()
    assert (await browser.get(callback))[0] == 200
    again = query_of(callback) | {"code": deployment.distribution.agree("T2", CALLBACK)}
    for replayed in (callback, f"{CALLBACK}?{urlencode(again)}"):
        assert (await browser.get(replayed))[0] == 400
    assert await installed(deployment) == {"T1"}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "x"},
        {"code": "x", "state": ""},
        {"code": "x", "state": "a.b.c"},
        {"code": "x", "state": "é" * 60},
        {"code": "x", "state": "a" * 24 + ".9999999999." + "0" * 64},
        {"error": "<script>alert(1)</script>", "state": "x"},
    ],
)
async def test_a_state_that_was_not_issued_is_refused(
    deployment: Deployment, query: dict[str, str]
) -> None:
    browser = deployment.browser()
    await browser.open_install_page()
    status, text, location = await browser.get(f"{CALLBACK}?{urlencode(query)}")
    assert (status, location) == (400, "")
    assert texts.STALE in text
    assert "alert" not in text


async def test_codes_that_slack_does_not_accept_store_nothing(deployment: Deployment) -> None:
    for code in ("", "unknown", deployment.distribution.agree("T1", "https://evil.test/")):
        browser = deployment.browser()
        state = query_of(await browser.open_install_page())["state"]
        query = urlencode({"code": code, "state": state})
        assert (await browser.get(f"{CALLBACK}?{query}"))[0] == 400
    assert await installed(deployment) == set()


async def test_the_page_sends_people_to_slack_only(deployment: Deployment) -> None:
    browser = deployment.browser()
    for team in ("T2&redirect_uri=https://evil.test", "//evil.test", '"><script>', "t2"):
        link = await browser.open_install_page(team)
        assert link.startswith(f"{deployment.distribution.base_url}/oauth/v2/authorize?")
        assert query_of(link)["redirect_uri"] == CALLBACK
        assert "team" not in query_of(link) or query_of(link)["team"] == "T2"
        assert "script" not in link
    status, _, location = await browser.get(
        f"{PUBLIC_URL}/slack/install?next=https://evil.test&return_to=//evil.test"
    )
    assert (status, location) == (200, "")


async def test_an_outage_of_slack_or_redis_is_reported_and_the_next_try_works(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = deployment.browser()
    callback = await browser.agree("T1")
    deployment.distribution.is_down = True
    status, text, _ = await browser.get(callback)
    assert (status, texts.SLACK_DOWN in text) == (503, True)
    deployment.distribution.is_down = False
    callback = await browser.agree("T1")

    async def away(*_: object) -> bool:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(type(deployment.bot.store.installations), "save", away)
        status, text, _ = await browser.get(callback)
    assert (status, texts.STORE_DOWN in text) == (503, True)
    assert (await browser.install("T1"))[0] == 200


async def test_a_workspace_that_is_not_allowed_loses_its_token_at_once(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_deployment(redis_url, tmp_path, bot_allow_teams=frozenset({"T1"})) as found:
        status, text = await found.browser().install("T2")
        assert (status, texts.NOT_ALLOWED in text) == (403, True)
        assert {token.state for token in found.distribution.tokens.values()} == {"token_revoked"}
        assert await installed(found) == set()
        await found.install("T1")


async def test_requests_of_a_workspace_without_installation_are_acknowledged_and_noted(
    deployment: Deployment,
) -> None:
    slack = deployment.slack("T3")
    await slack.user("alice").says("#general", "@bot hi")
    await slack.settled()
    assert {delivery.state for delivery in slack.deliveries} == {"acknowledged"}
    assert await deployment.bot.store.redis.keys("*inbox*") == []

    async def noted() -> str | None:
        return await deployment.bot.store.flags.read(NOT_INSTALLED)

    assert "T3" in await wait_until(noted)


async def test_a_row_that_cannot_be_read_lets_slack_deliver_again(deployment: Deployment) -> None:
    await deployment.install("T1")
    store, key = deployment.bot.store, deployment.bot.store.keys.sealed("installation")
    row = await store.redis.hget(key, "T1")
    await store.redis.hset(key, "T1", "v1.00000000.AAAAAAAAAAAAAAAAAAAA")
    slack = deployment.slack("T1")
    root = await slack.user("alice").says("#general", "@bot hi")
    await slack.wait_for(lambda: slack.deliveries[-1].attempts[-1:] and _status(slack) == 500)
    await store.redis.hset(key, "T1", row)
    await slack.wait_for(lambda: slack.replies("#general", root), PATIENCE)


def _status(slack: LocalSlack) -> int | None:
    return slack.deliveries[-1].attempts[0].status


@pytest.mark.parametrize("first", ["tokens_revoked", "app_uninstalled"])
async def test_an_uninstalled_workspace_loses_its_token_and_its_turns(
    deployment: Deployment, first: str
) -> None:
    await deployment.install("T1", "T2")
    store, slack = deployment.bot.store, deployment.slack("T1")
    await _age_installations(deployment)
    deployment.fake.answer = [held("never shown")]
    root = await slack.user("alice").says("#general", "@bot think")
    await slack.wait_for(lambda: deployment.fake.working)
    deployment.distribution.uninstall("T1", first=first)

    async def gone() -> bool:
        return await installed(deployment) == {"T2"}

    await wait_until(gone)
    assert await store.sealed.names("installation") == ["T2"]
    deployment.fake.finish()
    thread = Thread("T1", slack.channel("#general").id, root)

    async def idle() -> bool:
        return (await store.inbox.state(thread)).state == "idle"

    await wait_until(idle)
    assert slack.replies("#general", root) == []
    assert await deployment.ask("T2", "still there?")


async def test_late_events_after_a_reinstallation_are_ignored(deployment: Deployment) -> None:
    await deployment.install("T1")
    bot = deployment.slack("T1").bot.id
    for event in (
        {"type": "app_uninstalled"},
        {"type": "tokens_revoked", "tokens": {"bot": [bot]}},
        {"type": "tokens_revoked", "tokens": {"oauth": ["U1"]}},
    ):
        deployment.distribution.send("T1", event)
    await deployment.slack("T1").settled()
    assert await installed(deployment) == {"T1"}
    assert await deployment.ask("T1", "hi")


async def test_data_of_a_removed_workspace_is_deleted_and_that_of_others_stays(
    deployment: Deployment,
) -> None:
    await deployment.install("T1", "T2")
    await deployment.ask("T1", "hi")
    await deployment.ask("T2", "hi")
    store = deployment.bot.store
    assert await store.installations.remove("T1", time.time() + 60)
    assert deployment.bot.engine is not None
    sweeper = Sweeper(store, deployment.bot.engine, 30, uninstall_days=-1, pause=0)
    await sweeper.sweep(idle=False)
    left = {str(key).split(":")[1] for key in await store.redis.keys("*") if ":T1" in str(key)}
    assert {family for family in left if not FAMILIES[family].expires} == set()
    assert await store.redis.keys("*conversation:T2:*")
    assert await installed(deployment) == {"T2"}
    assert len(deployment.fake.conversations) == 1


async def _age_installations(deployment: Deployment) -> None:
    """Backdate the installations, because Slack's times are in whole seconds."""
    store = deployment.bot.store
    for id in await store.installations.list():
        found = await store.installations.find(id)
        assert found is not None
        await store.redis.hdel(store.keys.installed, id)
        await store.installations.save(replace(found, installed_at=found.installed_at - 60))


async def test_the_doctor_names_refused_tokens_and_requests_without_installation(
    deployment: Deployment,
) -> None:
    await deployment.install("T1", "T2")

    async def look() -> Finding:
        async with open_client(deployment.settings) as client:
            return await WorkspaceChecks(client, deployment.settings).workspaces()

    assert (await look()).text == "2 installed"
    await deployment.bot.store.flags.note(NOT_INSTALLED, f"{time.time():.0f} T3", 60)
    found = await look()
    assert (found.level, "T3" in found.text) == ("warning", True)
    for token in deployment.distribution.tokens.values():
        token.state = "account_inactive" if token.team_id == "T2" else "valid"
    found = await look()
    assert (found.level, "token of T2" in found.text) == ("failed", True)


async def test_a_burst_of_first_events_builds_the_workspace_once(deployment: Deployment) -> None:
    await deployment.install("T1")
    workspaces = [deployment.bot.workspaces.find("T1") for _ in range(50)]
    assert len({id(each) for each in await asyncio.gather(*workspaces)}) == 1


async def test_the_operators_own_token_is_no_installation_that_can_be_removed(
    redis_url: str, tmp_path: Path
) -> None:
    async with (
        open_workspace() as own,
        open_deployment(
            redis_url,
            tmp_path,
            slack_bot_token=own.bot_token,
            slack_signing_secret=own.signing_secret,
            slack_api_url=own.api_url,
        ) as deployment,
    ):
        own.events_url = f"{deployment.url}/slack/events"
        own_id, store = own.workspace.team_id, deployment.bot.store
        for name in ("app_uninstalled", "tokens_revoked"):
            event = {"type": name, "tokens": {"bot": [own.bot.id]}}
            own.deliveries_to_app.send_event(Event(name, event))
        await own.settled()
        assert await store.installations.list() == {}
        root = await own.user("alice").says("#general", "@bot hi")
        await own.wait_for(lambda: own.replies("#general", root), PATIENCE)
        assert (await deployment.bot.workspaces.find(own_id)) is not None
        assert await deployment.bot.workspaces.find("T9") is None


async def test_the_data_of_a_workspace_is_kept_once_the_operator_has_its_token(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path) as world:
        team_id = world.slack.workspace.team_id
        assert await world.bot.store.installations.remove(team_id, 5.0)
        restarted = await world.replaced()
        assert await restarted.bot.store.installations.list() == {}


async def test_a_revoked_token_that_is_not_the_present_one_removes_nothing(
    deployment: Deployment,
) -> None:
    await deployment.install("T1")
    await _age_installations(deployment)
    bot = deployment.slack("T1").bot.id
    deployment.distribution.send("T1", {"type": "tokens_revoked", "tokens": {"bot": [bot]}})
    await deployment.slack("T1").settled()
    assert await installed(deployment) == {"T1"}
    assert await deployment.ask("T1", "hi")


async def test_an_event_that_names_a_workspace_removes_its_dead_organization(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_deployment(redis_url, tmp_path, teams=(), organizations=("E1",)) as deployment:
        await deployment.install("E1")
        await _age_installations(deployment)
        slack = deployment.slack("E1")
        slack.workspace.org_install = False  # as in an event without authorizations
        deployment.distribution.send("E1", {"type": "app_uninstalled"})
        await slack.settled()
        assert await installed(deployment) == {"E1"}
        deployment.distribution.uninstall("E1")

        async def gone() -> bool:
            return await installed(deployment) == set()

        await wait_until(gone)


async def test_one_browser_may_install_into_two_workspaces_at_once(deployment: Deployment) -> None:
    browser = deployment.browser()
    first, second = await browser.agree("T1"), await browser.agree("T2")
    assert [(await browser.get(callback))[0] for callback in (second, first)] == [200, 200]
    assert await installed(deployment) == {"T1", "T2"}
