"""Finds the part of a request that a conversation already holds from an earlier attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from bot.engines import RunRequest
from bot.engines.conversations import find_messages, words_of
from bot.engines.functions import answered_call, answered_calls, calls_of, output_item, pairs
from bot.engines.items import Item, is_message, read, text
from bot.engines.requests import as_item
from bot.models import Message


@dataclass(frozen=True, slots=True)
class Kept:
    """How many messages and which outputs the conversation holds, and the item after which an
    answer or call comes."""

    messages: int = 0
    outputs: frozenset[str] = frozenset()
    answered_after: str = ""


def find_kept(items: Sequence[Item], request: RunRequest) -> Kept:
    """Look for a request among the newest items of its conversation."""
    sent = request.outputs if request.asked_by else request.earlier
    wanted = {output.call.id for output in sent}
    outputs = frozenset(answered_calls(items) & wanted)
    given = () if request.asked_by else request.input
    messages, last = find_messages(items, given)
    if given and not messages:
        known = _known_of_owed(items, request.conversation.owed)
        messages, last = find_messages(items, given[known:])
        messages += known
    places = [index for index, item in enumerate(items) if answered_call(item) in outputs]
    last = max([last, *places])
    whole = last >= 0 and messages == len(given) and outputs == wanted
    rest = items[last + 1 :]
    is_answered = whole and bool(read(rest)[0] or calls_of(rest))
    return Kept(messages, outputs, text(items[last].get("id")) if is_answered else "")


def _known_of_owed(items: Sequence[Item], owed: Sequence[Message]) -> int:
    """How many of the messages owed, from the first on, the conversation holds, followed by others:
    a turn sent them that a restored Redis does not know.
    """
    texts = iter([words_of(item) for item in items if is_message(item, "user")])
    return len(list(takewhile(lambda message: message.text in texts, owed)))


def input_of(request: RunRequest, kept: Kept) -> list[dict[str, Any]]:
    """The items that are missing in the conversation."""
    if request.asked_by:
        sent = (output for output in request.outputs if output.call.id not in kept.outputs)
        return [output_item(output) for output in sent]
    rest = request.input[kept.messages :]
    messages = [as_item(message, request.files.get(message.ts, ())) for message in rest]
    return [*messages, *pairs(request.earlier, kept.outputs)]
