"""A run that was started although an earlier attempt, whose id was lost, had just ended.

The conversation holds nothing of a run before it ends, so the look before the request can miss it.
"""

from collections.abc import Awaitable, Callable, Sequence

from bot.engines import RunRequest, conversations
from bot.engines.answer import WORKING
from bot.engines.api import Api
from bot.engines.functions import calls_of
from bot.engines.items import Item, is_message, read, run_status, text
from bot.errors import ConversationGone
from bot.telemetry.log import log


async def overtaken(
    api: Api,
    request: RunRequest,
    fetch: Callable[[], Awaitable[Item]],
    end: Callable[[], Awaitable[None]],
) -> str:
    """The id of the item after which an earlier run has answered the request; "" if none has.

    `fetch` reads our own run, and `end` cancels it. What it left is deleted. Raises
    ConversationGone if that is not possible: the thread continues in a conversation without it.
    """
    conversation = request.conversation
    if not answered_places(await conversations.items_of_turn(api, conversation), request):
        return ""
    if is_working := run_status((await fetch()).get("status")) in WORKING:
        await end()
    state = await fetch()
    items = await conversations.items_of_turn(api, conversation)
    places, status = answered_places(items, request), run_status(state.get("status"))
    if status == "completed" and len(places) < 2:
        return ""  # this is our own answer
    if status in WORKING or not places:
        raise ConversationGone(conversation.id)
    if not is_working:
        await end()  # its stream is open
    log.warning("second_run_withdrawn", conversation=conversation.id)
    await conversations.delete_items(api, conversation.id, second_copy(items, request))
    return text(items[places[0]].get("id"))


def answered_places(items: Sequence[Item], request: RunRequest) -> list[int]:
    """The places where the request's messages end among the items, one for each time they were
    answered.

    Only the newest messages count: an earlier turn may have had the same words.
    """
    indexes = [index for index, item in enumerate(items) if is_message(item, "user")]
    texts, wanted = (
        [conversations.words_of(items[index]) for index in indexes],
        [m.text for m in request.input],
    )
    found: list[int] = []
    after, first = len(items), len(indexes) - len(wanted)
    while wanted and first >= 0 and texts[first : first + len(wanted)] == wanted:
        end = indexes[first + len(wanted) - 1]
        answer = items[end + 1 : after]
        if read(answer)[0] or calls_of(answer):
            found.insert(0, end)
        after, first = indexes[first], first - len(wanted)
    return found


def second_copy(items: Sequence[Item], request: RunRequest) -> list[Item]:
    """The items of the second run: all from the second copy of the messages on."""
    places = answered_places(items, request)
    return list(items[places[1] - len(request.input) + 1 :]) if len(places) > 1 else []
