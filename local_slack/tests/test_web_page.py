"""Access to the page and the control API: only with the token."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local_slack import LocalSlack
from local_slack.app_pages import AppPage, Table
from local_slack.control.web_page import FOLDER, page_url
from local_slack.workspace.files import upload

EVIL = "https://evil.example"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A minimal browser: it also keeps cookies for IP addresses."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield session


async def status(session: aiohttp.ClientSession, url: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.get(url, headers=named, allow_redirects=False) as response:
        return response.status


async def test_the_token_moves_from_the_address_into_a_cookie(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    async with session.get(page_url(slack), allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/")
        cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    async with session.get(f"{slack.base_url}/") as response:
        assert response.status == 200
        assert "Content-Security-Policy" in response.headers
        assert slack.control_token not in await response.text()
    assert await status(session, f"{slack.base_url}/_control/state") == 200


@pytest.mark.parametrize("path", ["/", "/?token=guess", "/_page/js/main.js", "/_control/state"])
async def test_nothing_is_served_without_the_token(
    slack: LocalSlack, session: aiohttp.ClientSession, path: str
) -> None:
    assert await status(session, f"{slack.base_url}{path}") == 401


@pytest.mark.parametrize("path", ["/", "/_page/js/main.js", "/_control/state", "/api/auth.test"])
async def test_other_hosts_and_origins_are_refused_everywhere(
    slack: LocalSlack, session: aiohttp.ClientSession, path: str
) -> None:
    url = f"{slack.base_url}{path}?token={slack.control_token}"
    port = slack.base_url.rpartition(":")[2]
    assert await status(session, url, Host="evil.example") == 403
    assert await status(session, url, Host=f"evil.example:{port}") == 403
    assert await status(session, url, Host="127.0.0.1:1") == 403
    assert await status(session, url, Origin=EVIL) == 403
    assert await status(session, url, Origin="http://127.0.0.1:1") == 403
    assert await status(session, url, Origin="null") == 403
    assert await status(session, url, Origin=slack.base_url) in (200, 303)


async def test_another_site_cannot_post_as_the_bot(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    form = {"token": slack.bot_token, "channel": slack.channel("#general").id, "text": "spam"}
    url = f"{slack.api_url}chat.postMessage"
    async with session.post(url, data=form, headers={"Origin": EVIL}) as response:
        assert response.status == 403
    assert slack.messages("#general") == []


async def test_the_cookie_counts_for_the_page_itself_only(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    await status(session, page_url(slack))
    url = f"{slack.base_url}/_control/state"
    assert await status(session, url, Sec_Fetch_Site="same-origin") == 200
    assert await status(session, url, Sec_Fetch_Site="same-site") == 401
    assert await status(session, url, Sec_Fetch_Site="cross-site") == 401


async def test_only_files_of_the_page_are_served(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    await status(session, page_url(slack))
    for path in ("js/main.js", "css/layout.css", "icons.svg", "favicon.svg"):
        assert await status(session, f"{slack.base_url}/_page/{path}") == 200
    for path in ("nothing.js", "%2e%2e/web_page.py", "..%2f..%2fsettings.py", "js", "js/../../x"):
        assert await status(session, f"{slack.base_url}/_page/{path}") == 404


async def test_files_of_people_cannot_act_as_the_page(
    slack: LocalSlack, session: aiohttp.ClientSession
) -> None:
    await status(session, page_url(slack))
    alice = slack.user("alice").id
    page = upload(slack.workspace, alice, "page.html", b"<script>alert(1)</script>")
    drawing = upload(slack.workspace, alice, "drawing.svg", b"<svg/>")
    async with session.get(f"{slack.base_url}/_page/files/{page.id}") as response:
        assert response.content_type == "application/octet-stream"
        assert response.headers["Content-Disposition"] == "attachment"
    async with session.get(f"{slack.base_url}/_page/files/{drawing.id}") as response:
        assert response.content_type == "image/svg+xml"
        assert response.headers["Content-Security-Policy"].startswith("sandbox")
    assert await status(session, f"{slack.base_url}/_page/files/F404") == 404


def test_the_page_fetches_nothing_from_elsewhere() -> None:
    for file in FOLDER.rglob("*.*"):
        text = file.read_text().replace("http://www.w3.org/", "")
        for mark in ('src="http', 'href="http', "url(http", 'from "http', "innerHTML"):
            assert mark not in text, f"{file.name}: {mark}"


async def test_a_page_of_the_app_is_shown_to_who_has_the_key(slack: LocalSlack) -> None:
    async def read() -> Table:
        return Table("All <of> it.", ("Name",), [("<b>x</b>",)])

    slack.add_page(AppPage("list", "The list", read))
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{slack.base_url}/_app/list") as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {slack.control_token}"}
        async with session.get(f"{slack.base_url}/_app/list", headers=headers) as answer:
            text = await answer.text()
        async with session.get(f"{slack.base_url}/_app/other", headers=headers) as answer:
            assert answer.status == 404
    assert "<td>&lt;b&gt;x&lt;/b&gt;</td>" in text
    assert "All &lt;of&gt; it." in text
