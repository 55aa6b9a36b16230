"""Actions of a person on the page."""

from playwright.async_api import Locator, Page


async def say(page: Page, text: str) -> None:
    """Write into the channel's box and send."""
    await page.locator(".channel .composer textarea").fill(text)
    await page.locator(".channel .composer textarea").press("Enter")


async def reply(page: Page, text: str) -> None:
    """Write into the thread's box and send."""
    await page.locator(".thread .composer textarea").fill(text)
    await page.locator(".thread .composer textarea").press("Enter")


async def open_thread(page: Page, text: str) -> None:
    """Open the thread of the channel's message with this text."""
    message = in_channel(page, text)
    await message.hover()
    await message.get_by_role("button", name="Reply in thread").click()
    await page.locator(".thread").wait_for()


async def speak_as(page: Page, name: str) -> None:
    await page.get_by_role("radio", name=name).click()


async def choose(page: Page, message: Locator, item: str) -> None:
    """Choose from the menu of a message."""
    await message.hover()
    await message.get_by_role("button", name="More actions").click()
    await page.get_by_role("menuitem", name=item).click()


def in_channel(page: Page, text: str) -> Locator:
    return page.locator(".channel article").filter(has_text=text)


def in_thread(page: Page, text: str) -> Locator:
    return page.locator(".thread article").filter(has_text=text)


async def go_to(page: Page, name: str) -> None:
    """Go to a channel, or to the app's messages."""
    await page.get_by_role("navigation").get_by_role("button", name=name).click()
    await page.get_by_role("heading", level=1, name=name).wait_for()


async def open_home(page: Page) -> Locator:
    """The app's Home tab."""
    await go_to(page, "threadbot")
    await page.get_by_role("tab", name="Home").click()
    return page.get_by_role("tabpanel", name="Home")


async def command(page: Page, text: str) -> None:
    """Run a slash command in the channel."""
    box = page.locator(".channel .composer textarea")
    await box.fill(text)
    await box.press("Escape")  # the offered completions
    await box.press("Enter")
