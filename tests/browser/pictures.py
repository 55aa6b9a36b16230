"""`python -m tests.browser.pictures`: makes the two screenshots of `bot try` for the README.

The bot, the page and the calls are real; the AI server is the fake of the tests with two answers.
"""

import asyncio
import os
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from bot.tryout.page import open_page
from local_slack.control.web_page import page_url
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.page_actions import in_thread, open_thread, reply, say, speak_as
from tests.fakes.openai import Prompt, open_fake_openai

FOLDER = Path(__file__).parents[2] / "docs" / "images"
PLAN = """Three steps, and nobody works on a Friday:

| Step | Who | Days |
|:--|:--|--:|
| Freeze and test | alice | 2 |
| Release notes | bob | 1 |
| Roll out | both | 0.5 |

- [x] Branch is cut
- [ ] Tell support
"""
CHECK = """Here is a check that you can run **after** the roll-out:

```python
def healthy(url: str) -> bool:
    answer = httpx.get(f"{url}/healthz")
    return answer.status_code == 200
```

> If it fails twice, roll back first and ask later.
"""


def answer(prompt: Prompt) -> str:
    return CHECK if "check" in prompt.user_messages[-1] else PLAN


async def talk(page: Page) -> None:
    await say(page, "@threadbot plan the release of version 2 for the two of us")
    await open_thread(page, "plan the release")
    await expect(in_thread(page, "Tell support").get_by_role("button", name="Good")).to_be_visible()
    await speak_as(page, "bob")
    await reply(page, "@threadbot and how do we check that it went well?")
    await expect(in_thread(page, "ask later").get_by_role("button", name="Good")).to_be_visible()


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with open_fake_openai() as fake:
        fake.answer = answer
        with tempfile.TemporaryDirectory() as directory:
            os.environ |= {
                "BOT_STATE_DIR": directory,
                "OPENAI_BASE_URL": fake.base_url,
                "OPENAI_API_KEY": fake.api_key,
            }
            async with open_page() as place, async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                page = await browser.new_page(
                    viewport={"width": 1280, "height": 760}, locale="en-GB", color_scheme="light"
                )
                await page.goto(page_url(place.slack))
                await talk(page)
                await page.get_by_role("button", name="What happened").click()
                await page.locator(".step.ai").first.wait_for()
                await page.mouse.move(5, 600)
                await page.screenshot(path=FOLDER / "try-light.png")
                await page.emulate_media(color_scheme="dark")
                await page.get_by_role("button", name="Close What happened").click()
                await page.mouse.move(5, 600)
                await page.screenshot(path=FOLDER / "try-dark.png")
                await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
