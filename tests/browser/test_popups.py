"""How every popup looks, at three widths and in both themes.

`AXE_CORE=…/axe.min.js` checks each with axe-core, too; `PICTURES=folder` keeps the screenshots;
`UPDATE_PICTURES=1` makes them the references, of which the file keeps a summary: with other fonts
the pictures differ, but little.
"""

import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from bot.sealing import generate_key
from bot.slack.approval_card import ALLOW
from bot.slack.blocks import bar_chart, plain_section, task_card
from bot.slack.events import EVENTS
from bot.tryout.audit_page import audit_page
from bot.tryout.demo_tools import open_demo
from local_slack.added import AddedWorkspaces
from local_slack.control.web_page import page_url
from local_slack.switches import Switch
from local_slack.tests.bolt import make_client
from tests.browser.conftest import open_shown_world
from tests.browser.popups import (
    BOOKING,
    CALLBACK,
    CLOSED_BY_A_RESIZE,
    CLOSED_BY_ESCAPE,
    ENDLESS,
    NOTE,
    POPUPS,
    QUESTION,
    TASKS,
    Opener,
)
from tests.redis_server import RedisServer
from tests.world import PATIENCE, World

WIDTHS = (1440, 1024, 390)
HEIGHT = 800
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
STATES = ("complete", "in_progress", "pending", "error")
INSTALLABLE: dict[str, Any] = {
    "slack_client_id": "1.2",
    "slack_client_secret": "a" * 32,
    "bot_public_url": "http://bot.test",
    "bot_encryption_keys": generate_key(),
}
"""The bot may be installed elsewhere, too: workspaces have settings."""
HERE = Path(__file__).parent
AUDIT = (HERE / "audit.js").read_text()
AXE = Path(os.environ["AXE_CORE"]).read_text() if "AXE_CORE" in os.environ else ""
SUMMARIZE = """async (data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const canvas = new OffscreenCanvas(8, 8);
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, 8, 8);
  const dots = pen.getImageData(0, 0, 8, 8).data;
  const light = (at) => Math.round(0.21 * dots[at] + 0.72 * dots[at + 1] + 0.07 * dots[at + 2]);
  return [image.width, image.height, ...Array.from({ length: 64 }, (_, n) => light(4 * n))];
}"""
MOST_LIGHT = 12
REFERENCE_FILE = HERE / "data" / "popups.json"
REFERENCES: dict[str, list[int]] = (
    json.loads(REFERENCE_FILE.read_text()) if REFERENCE_FILE.exists() else {}
)
RUN_AXE = """async (root) => (await axe.run(root)).violations.map(
  (each) => `axe: ${each.id}: ${each.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`)"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A world in which everything was asked that a popup shows."""
    folder = tmp_path_factory.mktemp("popups")
    async with (
        open_demo(folder) as tools,
        open_shown_world(
            redis_server.url, folder, engine="echo", bot_tools=tools, **INSTALLABLE
        ) as world,
        AddedWorkspaces(world.slack, CALLBACK, "http://bot.test/install", EVENTS) as added,
    ):
        await furnish(world)
        await added.add("Acme")
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """One page for all popups, which a new address resets."""
    context = await browser.new_context(locale="en-GB", reduced_motion="reduce")
    yield await context.new_page()
    await context.close()
    if "UPDATE_PICTURES" in os.environ:
        lines = [f'"{name}": {json.dumps(REFERENCES[name])}' for name in sorted(REFERENCES)]
        REFERENCE_FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


async def furnish(world: World) -> None:
    """Alice, an admin, has asked; two of her threads wait for her decision."""
    slack, alice, client = world.slack, world.slack.user("alice"), make_client(world.slack)
    alice.user.is_admin = True
    await world.ask("#general", f"@bot {QUESTION}")
    asked = [
        f'{NOTE}\ncall demo__add_note {{"text": "{"milk " * 700}"}}',
        f"{BOOKING}\ncall demo__book_room",
    ]
    roots = [await alice.says("#general", f"@bot {text}") for text in asked]
    await slack.wait_for(lambda: all(slack.replies("#general", root) for root in roots), PATIENCE)
    booking = slack.replies("#general", roots[1])[0]
    await alice.clicks("#general", booking.ts, ALLOW)
    general = slack.channel("#general").id
    cards = [task_card(f"t{n}", f"Step {n}", each, "details") for n, each in enumerate(STATES)]
    blocks = [plain_section(TASKS), *cards]
    await client.chat_postMessage(channel=general, text=TASKS, blocks=blocks)
    endless = await client.chat_postMessage(channel=general, text=ENDLESS)
    await client.chat_startStream(
        channel=general,
        thread_ts=endless["ts"],
        recipient_user_id=alice.id,
        recipient_team_id=slack.workspace.team_id,
        markdown_text="And so on",
    )
    dare = "Now kill the worker: another one goes on with this very answer."
    slack.add_switch(Switch("kill", "Kill the worker", "SIGKILL", "Kill", slack.settled, dare=dare))
    slack.add_page(audit_page(slack, world.bot.store))
    days = [(str(day), day * 1700) for day in range(1, 25)]
    chart = bar_chart("Tokens by day", days, y_label="tokens")
    await client.chat_postMessage(channel=alice.dm(), text="chart", blocks=[chart])
    await slack.user("bob").says("#general", "a word of bob")


async def faults_of(page: Page, popup: Locator) -> list[str]:
    """What is wrong with how the popup looks."""
    found: list[str] = await popup.evaluate(AUDIT)
    if AXE:
        await page.evaluate(AXE)
        found += await popup.evaluate(RUN_AXE)
    return found


async def differences(page: Page, popup: Locator, name: str) -> list[str]:
    """How the screenshot differs from the reference: in size, and in the light of its 64 fields."""
    kind: Literal["png", "jpeg"] = "png" if "PICTURES" in os.environ else "jpeg"  # faster
    picture = await popup.screenshot(scale="css", type=kind)
    if "PICTURES" in os.environ:
        (Path(os.environ["PICTURES"]) / f"{name}.png").write_bytes(picture)
    now: list[int] = await page.evaluate(SUMMARIZE, base64.b64encode(picture).decode())
    if "UPDATE_PICTURES" in os.environ:
        REFERENCES[name] = now
        return []
    before = REFERENCES[name]
    sides = [abs(a - b) > max(12, b * 0.12) for a, b in zip(now[:2], before[:2], strict=True)]
    light = sum(abs(a - b) for a, b in zip(now[2:], before[2:], strict=True)) / len(now[2:])
    changed = [f"it is {now[:2]} pixels, not {before[:2]}"] if any(sides) else []
    return changed + ([f"its light differs by {light:.0f} of 255"] if light > MOST_LIGHT else [])


class Shown:
    """The page, which is loaded again unless the last popup left it as it was."""

    def __init__(self, page: Page, url: str) -> None:
        self._page = page
        self._url = url
        self._is_new = False

    async def reset(self) -> None:
        """The page as a person sees it who has done nothing else."""
        if not self._is_new:
            await self._page.goto(self._url)
        self._is_new = False

    async def close(self, popup: Locator) -> None:
        await self._page.keyboard.press("Escape")
        await expect(popup).to_be_hidden()
        self._is_new = True


@pytest.fixture(scope="module")
def shown(page: Page, world: World) -> Shown:
    return Shown(page, page_url(world.slack))


async def resize(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": HEIGHT})


async def open_popup(page: Page, opener: Opener) -> Locator:
    popup = await opener(page)
    await expect(popup).to_be_visible()
    return popup


@pytest.mark.parametrize("opener", POPUPS, ids=lambda opener: opener.__name__)
async def test_every_popup_looks_right(
    world: World, page: Page, shown: Shown, opener: Opener
) -> None:
    faults: dict[str, list[str]] = {}
    world.slack.workspace.ephemerals.clear()
    await resize(page, WIDTHS[0])
    await shown.reset()
    popup = await open_popup(page, opener)
    for width in WIDTHS:
        if width != WIDTHS[0]:
            await resize(page, width)
            if opener in CLOSED_BY_A_RESIZE:
                popup = await open_popup(page, opener)
        await popup.scroll_into_view_if_needed()
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme)
            name = f"{opener.__name__}-{width}-{theme}"
            found = await faults_of(page, popup) + await differences(page, popup, name)
            if found:
                faults[name] = found
    assert faults == {}
    if opener in CLOSED_BY_ESCAPE:
        await shown.close(popup)
