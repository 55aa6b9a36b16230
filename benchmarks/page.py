"""`python -m benchmarks.page`: from Send to shown on the page of the local Slack, by channel size.

Needs Chromium. The time is the page's own: from the submission of the form until the message is in
the document, the request to the local Slack included.
"""

import asyncio
import statistics

from playwright.async_api import async_playwright

from local_slack import open_workspace
from local_slack.control.web_page import page_url
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.test_first_minute import fill

SIZES = (10, 1_000, 5_000)
SENDS = 15
SEND = """(text) => new Promise((resolve) => {
  const list = document.querySelector(".channel .messages");
  const began = performance.now();
  const look = () => {
    if (list.lastElementChild?.textContent.includes(text)) resolve(performance.now() - began);
  };
  new MutationObserver(look).observe(list, { childList: true, subtree: true });
  const box = document.querySelector(".channel .composer textarea");
  box.value = text;
  box.form.requestSubmit();
})"""


async def measure(size: int) -> list[float]:
    """Milliseconds of each send, in a channel of this size."""
    async with open_workspace() as slack, async_playwright() as playwright:
        fill(slack, size)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(page_url(slack))
        await page.locator(".channel article").last.wait_for()
        return [await page.evaluate(SEND, f"sent {number}") for number in range(SENDS)]


async def main() -> None:
    for size in SIZES:
        times = await measure(size)
        print(
            f"{size:>6,} messages: median {statistics.median(times):5.1f} ms, "
            f"longest {max(times):5.1f} ms"
        )


if __name__ == "__main__":
    asyncio.run(main())
