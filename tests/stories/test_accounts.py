"""People's own accounts: connected by a private link, used for their owner only, disconnected."""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from bot.errors import StoreUnavailable
from bot.models import decode, encode
from bot.sealing import generate_key
from bot.slack import approval_card as card
from bot.slack.surfaces.account_code import ACTION
from bot.store.channel_settings import ChannelSettings
from bot.texts import accounts as texts
from bot.timing import Timing
from bot.tools.accounts import Accounts
from bot.tools.config import load_tools
from bot.tools.unconfirmed import Waiting
from tests.fakes.openai import Call, calling, held
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.stories.test_approvals import answers, ask, cards
from tests.stories.test_slack_source import everything_in
from tests.stories.tools import audit, script
from tests.tools.authorization import Provider, open_notes
from tests.world import World, open_world

WHO = calling(Call("n__whoami"))
LINK = re.compile(r"<(http[^|>]+)\|connect>")


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def world(
    redis_url: str, tmp_path: Path, timing: Timing, provider: Provider
) -> AsyncIterator[World]:
    port = free_port()
    async with open_notes(provider) as url:
        path = tmp_path / "tools.toml"
        path.write_text(f'[servers.n]\nurl = "{url}"\nauth = "person"\n')
        async with open_world(
            redis_url,
            tmp_path,
            timing=timing,
            bot_tools=path,
            port=port,
            bot_public_url=f"http://127.0.0.1:{port}",
            bot_encryption_keys=generate_key(),
        ) as world:
            yield world


def offered(world: World) -> set[str]:
    bodies: list[Any] = [r.body for r in world.fake.requests if r.path.endswith("/responses")]
    return {tool["name"] for tool in bodies[-1].get("tools", [])}


async def invited(world: World, who: str) -> str:
    """Ask for something that needs the account; returns the link of the private message."""
    world.fake.answer = script(calling(Call("n__connect")))
    root = await world.ask("#general", "@bot who am I?", who=who)
    assert texts.INVITED in (await world.replies("#general", root))[-1]
    return link_of(world, who)


def link_of(world: World, who: str) -> str:
    messages = world.slack.messages(world.slack.user(who).dm())
    links = [found[1] for message in messages for found in LINK.finditer(message.text)]
    return links[-1]


async def connect(world: World, who: str) -> str:
    """Follow a link in a browser to its end, and enter the code in Slack; returns the last page."""
    link = await invited(world, who)
    async with browser() as session:
        page = await follow(session, link)
    await enter(world, who, code_on(page))
    return page


def code_on(page: str) -> str:
    found = re.search(r"<strong>([A-Z]{4}-[A-Z]{4})</strong>", page)
    assert found, page
    return found[1]


async def enter(world: World, who: str, code: str) -> None:
    """Press the button below the newest private message, and enter a code."""
    person = world.slack.user(who)
    message = world.slack.messages(person.dm())[-1]
    await person.clicks(person.dm(), message.ts, ACTION)
    await person.submits({"code": code})
    await world.slack.settled()


def browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def follow(session: aiohttp.ClientSession, link: str) -> str:
    async with session.get(link) as page:
        assert page.status == 200, await page.text()
    async with session.post(link) as page:
        return await page.text()


async def test_an_account_is_connected_and_used(
    world: World, provider: Provider, capsys: pytest.CaptureFixture[str], redis_server: RedisServer
) -> None:
    page = await connect(world, "alice")
    assert texts.TELL_NO_ONE in unescape(page)
    dm = world.slack.messages(world.slack.user("alice").dm())
    assert dm[-1].text == texts.connected_note("n")

    world.fake.answer = script(WHO)
    root = await world.ask("#general", "@bot who am I?")
    (said,) = await world.replies("#general", root)
    assert said == "you are alice@example.com with [removed]"
    assert offered(world) == {"n__note", "n__whoami"}
    assert provider.called == ["alice@example.com"]
    (line,) = [each for each in await audit(world) if each.tool == "whoami"]
    assert (line.server, line.user_id) == ("n", world.slack.user("alice").id)

    with redis_server.client() as client:
        everything = everything_in(client) + capsys.readouterr().out
    sent = str([each.body for each in world.fake.requests])
    for token in (*provider.access, *provider.refreshing):
        assert token not in everything
        assert token not in sent


async def test_another_person_does_not_get_it(world: World, provider: Provider) -> None:
    await connect(world, "alice")
    world.fake.answer = script(WHO)
    root = await world.ask("#general", "@bot who am I?", who="bob")
    await world.rests("#general", root)
    assert offered(world) == {"n__connect"}
    assert provider.called == []
    provider.account = "bob@example.com"
    await connect(world, "bob")
    for who in ("alice", "bob"):
        world.fake.answer = script(WHO)
        root = await world.ask("#general", "@bot who am I?", who=who)
        assert f"you are {who}@example.com" in (await world.replies("#general", root))[-1]


async def test_it_is_not_used_while_several_people_ask(world: World, provider: Provider) -> None:
    await connect(world, "alice")
    world.fake.answer = [held("Hello."), WHO, "No."]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot hello")
    await world.slack.wait_for(lambda: world.fake.working)
    await world.slack.user("bob").says("#general", "@bot who is alice?", thread_ts=root)
    await alice.says("#general", "@bot go on", thread_ts=root)
    world.fake.finish()
    await world.rests("#general", root)
    assert provider.called == []


async def test_after_words_of_others_each_call_asks_its_owner_only(
    world: World, provider: Provider
) -> None:
    await connect(world, "alice")
    bob, team_id = world.slack.user("bob"), world.slack.workspace.team_id
    channel_id = world.slack.channel("#general").id
    settings = ChannelSettings(approvers=(bob.id,))
    await world.bot.store.channels.save(team_id, channel_id, settings, user_id="U1", after=0)
    world.fake.answer = ["Hello.", WHO, "It is you."]
    root = await world.ask("#general", "@bot when alice comes, show me her notes", who="bob")
    await world.slack.user("alice").says("#general", "@bot who am I?", thread_ts=root)
    await world.slack.wait_for(lambda: cards(world, root))
    await world.wait_for_state(world.key("#general", root), "later")
    (asked,) = cards(world, root)
    await bob.clicks("#general", asked.ts, card.ALLOW)
    assert provider.called == []
    await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
    assert (await answers(world, root))[-1] == "It is you."
    assert provider.called == ["alice@example.com"]


async def test_a_write_asks_and_is_made_with_the_account(world: World, provider: Provider) -> None:
    await connect(world, "alice")
    world.fake.answer = [calling(Call("n__note", '{"text": "milk"}')), "Noted."]
    root, asked = await ask(world)
    await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
    assert await answers(world, root) == ["Noted."]
    assert provider.called == ["alice@example.com"]


async def test_a_token_is_renewed_once_for_all(world: World, provider: Provider) -> None:
    provider.lifetime = 1  # ends within the minute in which tokens are renewed early
    await connect(world, "alice")
    provider.lifetime = 3600
    world.fake.answer = script(calling(Call("n__whoami"), Call("n__whoami"), Call("n__whoami")))
    root = await world.ask("#general", "@bot who am I?")
    assert "alice@example.com" in (await world.replies("#general", root))[-1]
    assert provider.refreshed == 1


async def test_a_revoked_account_has_to_be_connected_again(
    world: World, provider: Provider
) -> None:
    await connect(world, "alice")
    provider.access.clear()
    provider.refreshing.clear()
    world.fake.answer = script(WHO)
    root = await world.ask("#general", "@bot who am I?")
    await world.rests("#general", root)
    assert provider.called == []
    world.fake.answer = "Hello."
    await world.ask("#general", "@bot hello")
    assert offered(world) == {"n__connect"}


async def test_a_link_works_once_and_a_preview_does_not_use_it(world: World) -> None:
    link = await invited(world, "alice")
    async with browser() as session:
        for _ in range(3):
            async with session.get(link) as page:
                assert "alice" in await page.text()
                assert page.headers["Referrer-Policy"] == "no-referrer"
        assert code_on(await follow(session, link))
        async with session.post(link) as page:
            assert page.status == 400
        async with session.get(link) as page:
            assert page.status == 404


async def test_a_link_that_was_forwarded_connects_nothing(world: World, provider: Provider) -> None:
    """Bob sends his link to alice, who signs in. The code on her page works for bob only, and bob
    does not have it; a wrong code connects nothing."""
    link = await invited(world, "bob")
    async with browser() as session:
        code = code_on(await follow(session, link))
    alice, bob = world.slack.user("alice"), world.slack.user("bob")
    assert world.slack.messages(alice.dm()) == []
    for wrong in ("", "BCDF-GHJK", code[:-1], code[::-1]):
        await enter(world, "bob", wrong)
        assert texts.connected_note("n") not in world.slack.messages(bob.dm())[-1].text
    assert await world.bot.store.sealed.names("credential") == []
    world.fake.answer = script(WHO)
    await world.ask("#general", "@bot who am I?", who="bob")
    assert provider.called == []
    await enter(world, "bob", f" {code.lower()} ")
    assert len(await world.bot.store.sealed.names("credential")) == 1


async def test_tokens_that_were_never_confirmed_are_revoked(
    world: World, provider: Provider
) -> None:
    """Once the code has expired, after a second visit, and by /forget-me."""
    store, settings = world.bot.store, world.settings
    accounts = Accounts(world.bot.shards, load_tools(settings.bot_tools), settings)
    ids = (world.key("#general", "1").team_id, world.slack.user("alice").id)
    codes = []
    for _ in range(2):
        link = await invited(world, "alice")
        await store.redis.delete(*await store.redis.keys("*invited*"))
        async with browser() as session:
            codes.append(code_on(await follow(session, link)))
    assert await accounts.confirm(*ids, codes[0]) == "", "its tokens are revoked"
    assert provider.revoked == ["alice@example.com"]
    await accounts.drop_unconfirmed()
    (row,) = await store.sealed.names("unconfirmed")
    assert len(provider.revoked) == 1, "its code may still come"

    found = decode(Waiting, await store.sealed.find("unconfirmed", row) or "")
    past = replace(found, until=time.time() - 1)
    await store.sealed.save("unconfirmed", row, encode(past))
    await accounts.drop_unconfirmed()
    assert len(provider.revoked) == 2
    assert await accounts.confirm(*ids, codes[1]) == ""
    assert (provider.access, provider.refreshing) == ({}, {})
    assert await store.sealed.names("unconfirmed") == []

    await store.sealed.save("unconfirmed", row, encode(found))
    await accounts.disconnect_all(*row.split("|")[:2])
    assert await store.sealed.names("unconfirmed") == []
    link = await invited(world, "alice")
    await store.redis.delete(*await store.redis.keys("*invited*"))
    async with browser() as session:
        code = code_on(await follow(session, link))
    await store.sealed.save("unconfirmed", row, encode(replace(found, lent="later")))
    assert await accounts.confirm(*ids, code)
    assert await store.sealed.names("unconfirmed") == [row], "a later visit waits for its code"
    await accounts.disconnect_all(*ids)
    assert await connect(world, "alice")
    assert await store.sealed.names("unconfirmed") == []
    await accounts.aclose()


async def test_a_code_that_redis_did_not_finish_is_entered_again(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis fails before or after it connects the account; then the sweep of tokens comes."""
    store, settings = world.bot.store, world.settings
    accounts = Accounts(world.bot.shards, load_tools(settings.bot_tools), settings)
    link = await invited(world, "alice")
    async with browser() as session:
        code = code_on(await follow(session, link))
    ids = (world.key("#general", "1").team_id, world.slack.user("alice").id)
    connection = store.sealed._connection
    run = connection.run
    moments = ["before", "after"]

    async def failing(script: str, *args: Any, **named: Any) -> Any:
        if script != "redeem" or not moments:
            return await run(script, *args, **named)
        if moments.pop(0) == "after":
            await run(script, *args, **named)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(connection, "run", failing)
    with pytest.raises(StoreUnavailable):
        await accounts.confirm(*ids, code)
    assert await accounts.connected(*ids) == []
    with pytest.raises(StoreUnavailable):
        await accounts.confirm(*ids, code)
    assert await accounts.connected(*ids) == ["n"]
    (row,) = await store.sealed.names("unconfirmed")
    found = decode(Waiting, await store.sealed.find("unconfirmed", row) or "")
    await store.sealed.save("unconfirmed", row, encode(replace(found, until=1.0)))
    await accounts.drop_unconfirmed()
    assert await store.sealed.names("unconfirmed") == provider.revoked == []
    await accounts.aclose()


async def test_a_stolen_answer_of_the_authorization_server_is_refused(
    world: World, provider: Provider
) -> None:
    """Another browser than the one that began, a state used twice, a forged issuer."""
    link = await invited(world, "alice")
    async with browser() as mine, browser() as other:
        async with mine.post(link, allow_redirects=False) as page:
            visit = page.headers["Location"]
        query = parse_qs(urlsplit(visit).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["resource"][0].endswith("/mcp")
        async with mine.get(visit, allow_redirects=False) as page:
            back = page.headers["Location"]
        async with other.get(back) as page:
            assert page.status == 400
        async with mine.get(back) as page:
            assert page.status == 400, "it was used"
    async with browser() as mine:
        await world.bot.store.redis.delete(*await world.bot.store.redis.keys("*invited*"))
        link = await invited(world, "alice")
        async with mine.post(link, allow_redirects=False) as page:
            visit = page.headers["Location"]
        provider.issuer = "https://evil.example"
        async with mine.get(visit, allow_redirects=False) as page:
            back = page.headers["Location"]
        async with mine.get(back) as page:
            assert page.status == 400
    assert provider.access == {}


async def test_disconnect_revokes(world: World, provider: Provider) -> None:
    await connect(world, "alice")
    alice = world.slack.user("alice")
    await alice.opens_home()
    await world.slack.settled()
    assert alice.home is not None
    await alice.clicks_in_view("disconnect_account", "n", view_id=alice.home["id"])
    await world.slack.settled()
    assert provider.revoked == ["alice@example.com"]
    assert provider.access == {}
    assert texts.HOME_HEADING not in str(alice.home)


async def test_forget_me_revokes(world: World, provider: Provider) -> None:
    await connect(world, "alice")
    services = await world.bot.store.sealed.names("credential")
    assert len(services) == 1
    alice = world.slack.user("alice")
    await alice.opens_home()
    await world.slack.settled()
    assert alice.home is not None
    await alice.clicks_in_view("errand:forget_me", "forget_me", view_id=alice.home["id"])
    await world.slack.wait_for(lambda: provider.revoked)
    assert await world.bot.store.sealed.names("credential") == []
