"""Every popup, form and panel of the page: how a person opens it, and which element it is."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode, urljoin

from playwright.async_api import Locator, Page, expect

from local_slack.distribution import CLIENT_ID
from tests.browser.page_actions import command, go_to, in_channel, in_thread, open_home

CALLBACK = "http://bot.test/callback"
Opener = Callable[[Page], Awaitable[Locator]]
QUESTION = "a question of alice"
NOTE = "note with a long text"
BOOKING = "book a room"
TASKS = "an answer with task cards"
ENDLESS = "an endless answer"
IS_ON_SCREEN = "(element) => element.getBoundingClientRect().left >= 0"


async def _more(page: Page, message: Locator, button: str = "More actions") -> Locator:
    await message.hover()
    await message.get_by_role("button", name=button).click()
    return page.get_by_role("menu")


async def _thread(page: Page, text: str) -> Locator:
    message = in_channel(page, text)
    await message.hover()
    await message.get_by_role("button", name="Reply in thread").click()
    return page.locator(".thread")


async def _show_sidebar(page: Page) -> None:
    """On a narrow screen a button opens it, and it covers that button."""
    button = page.get_by_role("button", name="Show channels and people")
    sidebar = page.locator(".sidebar")
    if await button.is_visible() and not await sidebar.evaluate(IS_ON_SCREEN):
        await button.click()
        await expect(sidebar).to_be_in_viewport(ratio=1)


async def own_message_menu(page: Page) -> Locator:
    return await _more(page, in_channel(page, QUESTION))


async def other_message_menu(page: Page) -> Locator:
    return await _more(page, in_channel(page, "a word of bob"))


async def reactions(page: Page) -> Locator:
    return await _more(page, in_channel(page, QUESTION), "Add a reaction")


async def message_editor(page: Page) -> Locator:
    menu = await own_message_menu(page)
    await menu.get_by_role("menuitem", name="Edit message").click()
    return page.locator(".editor")


async def completed_names(page: Page) -> Locator:
    await page.locator(".channel .composer textarea").fill("@")
    return page.get_by_role("listbox").locator("visible=true")


async def completed_commands(page: Page) -> Locator:
    await page.locator(".channel .composer textarea").fill("/")
    return page.get_by_role("listbox").locator("visible=true")


async def hint_about_mentions(page: Page) -> Locator:
    box = page.locator(".channel .composer textarea")
    await box.fill("without a mention")
    await box.press("Enter")
    return page.locator(".composer-hint")


async def sidebar(page: Page) -> Locator:
    await _show_sidebar(page)
    return page.locator(".sidebar")


async def group_menu(page: Page) -> Locator:
    await _show_sidebar(page)
    await page.get_by_role("button", name="New group message with the app").click()
    return page.get_by_role("menu")


async def search(page: Page) -> Locator:
    await page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Search")
    await dialog.wait_for()
    await page.keyboard.type("alice")
    await page.locator(".found button").first.wait_for()
    return dialog


async def nothing_found(page: Page) -> Locator:
    await page.keyboard.press("Control+k")
    await page.keyboard.type("elephants")
    await page.get_by_text("Nothing found.").wait_for()
    return page.get_by_role("dialog", name="Search")


async def keys(page: Page) -> Locator:
    await _show_sidebar(page)
    await page.get_by_role("button", name="Keys").click()
    return page.get_by_role("dialog", name="Keys")


async def faults(page: Page) -> Locator:
    await _show_sidebar(page)
    await page.get_by_role("button", name="Faults").click()
    return page.get_by_role("complementary", name="Faults")


async def thread(page: Page) -> Locator:
    return await _thread(page, QUESTION)


async def steps(page: Page) -> Locator:
    await _thread(page, QUESTION)
    await page.get_by_role("button", name="What happened").click()
    await page.locator(".step").first.wait_for()
    return page.get_by_role("complementary", name="What happened")


async def toast(page: Page) -> Locator:
    menu = await own_message_menu(page)
    await menu.get_by_role("menuitem", name="Copy link").click()
    return page.locator(".toast").last


async def approval_card(page: Page) -> Locator:
    await _thread(page, NOTE)
    card = page.locator(".thread article").nth(1)
    await expect(card.get_by_role("button", name="Allow once")).to_be_visible()
    return card


async def denial(page: Page) -> Locator:
    card = await approval_card(page)
    await card.get_by_role("button", name="Deny").click()
    return page.get_by_role("dialog")


async def arguments(page: Page) -> Locator:
    card = await approval_card(page)
    await card.get_by_role("button", name="Show all of it").click()
    return page.get_by_role("dialog")


async def tool_form(page: Page) -> Locator:
    await _thread(page, BOOKING)
    await page.locator(".thread").get_by_role("button", name="Answer", exact=True).click()
    return page.get_by_role("dialog")


async def form_with_an_error(page: Page) -> Locator:
    form = await tool_form(page)
    await form.get_by_label("How many people").fill("99")
    await form.get_by_role("button", name="Send").click()
    await form.get_by_role("alert").first.wait_for()
    return form


async def task_cards(page: Page) -> Locator:
    await _thread(page, TASKS)
    return in_thread(page, TASKS).first


async def feedback_form(page: Page) -> Locator:
    await _thread(page, QUESTION)
    await page.locator(".thread").get_by_role("button", name="Bad answer").click()
    return page.get_by_role("dialog", name="Your feedback")


async def home(page: Page) -> Locator:
    await _show_sidebar(page)
    return await open_home(page)


async def channel_settings(page: Page) -> Locator:
    tab = await home(page)
    await tab.get_by_role("combobox", name="Choose a channel").select_option("#general")
    return page.get_by_role("dialog", name="Channel settings")


async def workspace_settings(page: Page) -> Locator:
    tab = await home(page)
    await tab.get_by_role("button", name="Edit settings").click()
    return page.get_by_role("dialog")


async def help_text(page: Page) -> Locator:
    await command(page, "/bot-help")
    shown = in_channel(page, "What I can do").last
    await shown.wait_for()
    return shown


async def offered_resets(page: Page) -> Locator:
    await command(page, "/reset")
    shown = page.locator(".channel article.ephemeral").last
    await shown.get_by_role("button").first.wait_for()
    return shown


async def own_usage(page: Page) -> Locator:
    await command(page, "/usage")
    shown = in_channel(page, "Your usage").last
    await shown.wait_for()
    return shown


async def chart(page: Page) -> Locator:
    await _show_sidebar(page)
    await go_to(page, "threadbot")
    return page.locator("figure.chart").first


async def welcome(page: Page) -> Locator:
    await _show_sidebar(page)
    await go_to(page, "random")
    return page.locator(".welcome")


async def workspace_menu(page: Page) -> Locator:
    await _show_sidebar(page)
    await page.get_by_role("button", name="Local Slack").click()
    return page.get_by_role("menu")


async def new_workspace(page: Page) -> Locator:
    menu = await workspace_menu(page)
    await menu.get_by_role("menuitem", name="Add a workspace").click()
    return page.get_by_role("dialog", name="Add a workspace")


async def new_person(page: Page) -> Locator:
    await _show_sidebar(page)
    await page.get_by_role("button", name="Add a person").click()
    form = page.get_by_role("dialog", name="Add a person")
    await form.get_by_label("Name").fill("alice")
    await form.get_by_role("button", name="Add").click()
    await form.get_by_text("There is a person with this name.").wait_for()
    return form


async def dare(page: Page) -> Locator:
    await _thread(page, ENDLESS)
    return page.locator(".dare")


async def audit(page: Page) -> Locator:
    await page.goto(urljoin(page.url, "/_app/audit"))
    return page.locator("main")


async def consent(page: Page) -> Locator:
    """Slack's own page of an installation."""
    query = {"client_id": CLIENT_ID, "redirect_uri": CALLBACK, "scope": "chat:write,im:history"}
    await page.goto(urljoin(page.url, f"/oauth/v2/authorize?{urlencode(query)}"))
    return page.locator("main")


POPUPS: tuple[Opener, ...] = (
    *(own_message_menu, other_message_menu, reactions, group_menu, workspace_menu),
    *(search, nothing_found, keys, new_workspace, new_person),
    *(completed_names, completed_commands, message_editor, toast),
    *(hint_about_mentions, welcome, sidebar, faults, thread, steps),
    *(approval_card, denial, arguments, tool_form, form_with_an_error, task_cards),
    *(feedback_form, home, channel_settings, workspace_settings),
    *(help_text, offered_resets, own_usage, chart, dare),
    *(audit, consent),
)
CLOSED_BY_A_RESIZE = {
    *(own_message_menu, other_message_menu, reactions, group_menu, workspace_menu),
    *(completed_names, completed_commands, sidebar, toast),
}
CLOSED_BY_ESCAPE = {
    *(own_message_menu, other_message_menu, reactions, group_menu, workspace_menu),
    *(completed_names, completed_commands, search, nothing_found, keys),
    *(new_workspace, new_person),
}
"""After Escape the page is as it was before."""
