"""The input of the engine: the messages of a turn, their authors, and the messages around them.

Journaled as one step: a resumed turn sends the same text, by which the engine may have to find a
message.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from bot.models import Message, Record, Thread
from bot.slack.threads import ThreadMessage
from bot.store.journal import Turn
from bot.store.step_values import EngineInput
from bot.store.steps import ENGINE_INPUT
from bot.texts.prompts import BARE_MENTION, NO_WORDS
from bot.turn.batch import Request
from bot.turn.services import Services

_REFERENCE = re.compile(
    r"(?<![\w/])(?:(@)([UW][A-Z0-9]{6,}|S[A-Z0-9]+)|(#)([CG](?=[A-Z]*\d)[A-Z0-9]{7,}))\b", re.ASCII
)
"""A person, a user group or a channel that is still an id."""


async def collect_input(turn: Turn, services: Services, request: Request) -> EngineInput:
    """All messages for the engine in this turn, in Slack's order.

    If several people write in the thread, or did before, each message begins with its author's
    name.
    """
    store, threads, asked = services.store, services.threads, request.messages

    async def work() -> EngineInput:
        background = await store.routing.catch_up(turn, asked[-1].ts)
        before = await _before(turn, services, request) if background.first else []
        since = float(asked[0].ts) if before else 0.0
        overheard = [
            message
            for message in background.overheard
            if message.kind == "message" and float(message.ts) > since
            if not await services.rights.refusal(message)
        ]
        if overheard:
            overheard = await _without_protected(services, overheard)
        refers = bool(before or overheard or not background.first)
        questions = asked if refers else [_referring_to_nothing(message) for message in asked]
        messages = sorted([*overheard, *questions], key=lambda message: float(message.ts))
        speakers = _speakers(before, messages) | set(background.speakers)
        ids = _mentioned(before, messages) | speakers - {""}
        names = await threads.names.of(ids, turn.claim.thread, asked[-1].user_id)
        several = len(speakers) > 1
        return EngineInput(
            tuple(_record(line, names, several=several) for line in before),
            tuple(_spoken(message, names, several=several) for message in messages),
        )

    return _sharing(asked, await turn.derive(ENGINE_INPUT, work))


def _sharing(asked: Iterable[Message], given: EngineInput) -> EngineInput:
    """The input with the questions themselves, not their copies, as far as they are unchanged:
    thousands of turns hold both while their runs last."""
    known = {message.ts: message for message in asked}

    def shared(copy: Message) -> Message:
        question = known.get(copy.ts, copy)
        return question if question == copy else copy

    return replace(given, messages=tuple(map(shared, given.messages)))


async def _without_protected(services: Services, overheard: list[Message]) -> list[Message]:
    """The messages of others that may be sent; one that may not must not stop the question."""
    found = await services.dlp.find([message.text for message in overheard])
    return [message for message, why in zip(overheard, found, strict=True) if not why]


async def _before(turn: Turn, services: Services, request: Request) -> list[ThreadMessage]:
    """The messages from before the bot was mentioned in the thread."""
    thread, first = turn.claim.thread, request.messages[0]
    if first.ts != thread.thread_ts:
        before = await _said_before(turn, services, request)
        speakers = {line.user_id: line.ts for line in before if line.user_id and not line.ours}
        await services.store.routing.note_speakers(thread, speakers)
        return before
    if first.text != BARE_MENTION:
        return []
    return await _permitted(services, thread, await services.threads.said_above(thread))


async def recollect(
    turn: Turn, services: Services, request: Request, only: Collection[str] | None = None
) -> list[Record]:
    """The thread before this turn, read from Slack because our record is gone.

    With `only`, people's messages with these ts, and what the bot wrote after each of them.
    """
    threads, asked = services.threads, request.messages
    lines = await _said_before(turn, services, request)
    if only is not None:
        lines = list(_questions_and_answers(lines, only))
    speakers = _speakers(lines, asked)
    ids = _mentioned(lines, asked) | speakers - {""}
    names = await threads.names.of(ids, turn.claim.thread, asked[-1].user_id)
    return [_record(line, names, several=len(speakers) > 1) for line in lines]


def _questions_and_answers(
    lines: Iterable[ThreadMessage], asked: Collection[str]
) -> Iterator[ThreadMessage]:
    is_meant = False
    for line in lines:
        is_meant = is_meant if line.ours else line.ts in asked
        if is_meant:
            yield line


async def _said_before(turn: Turn, services: Services, request: Request) -> list[ThreadMessage]:
    """The messages of the thread before this turn, read from Slack."""
    thread = turn.claim.thread
    lines = await services.threads.messages_before(thread, request.messages[0].ts)
    return await _permitted(services, thread, lines)


async def _permitted(
    services: Services, thread: Thread, lines: list[ThreadMessage]
) -> list[ThreadMessage]:
    """The lines without the messages of people who are refused."""
    others = (line.user_id for line in lines if not line.ours)
    refused = await services.rights.refused_among(thread, others)
    return [line for line in lines if line.user_id not in refused]


def _speakers(before: Iterable[ThreadMessage], messages: Iterable[Message]) -> set[str]:
    others = {line.user_id or line.name for line in before if not line.ours}
    return others | {message.user_id for message in messages}


def _mentioned(before: Iterable[ThreadMessage], messages: Iterable[Message]) -> set[str]:
    texts = [*(line.text for line in before), *(message.text for message in messages)]
    return {found[2] or found[4] for text in texts for found in _REFERENCE.finditer(text)}


def _record(line: ThreadMessage, names: Mapping[str, str], *, several: bool) -> Record:
    text = _with_files(_named(line.text, names), line.files)
    if line.ours:
        return Record("assistant", text, line.ts)
    speaker = names.get(line.user_id) or line.name or line.user_id
    return Record("user", f"{speaker}: {text}" if several else text, line.ts, line.user_id)


def _spoken(message: Message, names: Mapping[str, str], *, several: bool) -> Message:
    text = _with_files(_named(message.text, names), [file.name for file in message.files])
    if several:
        text = f"{names.get(message.user_id, message.user_id)}: {text}"
    return replace(message, text=text, action_token="")


def _referring_to_nothing(message: Message) -> Message:
    return replace(message, text=NO_WORDS) if message.text == BARE_MENTION else message


def _named(text: str, names: Mapping[str, str]) -> str:
    def name(found: re.Match[str]) -> str:
        mark, reference = found[1] or found[3], found[2] or found[4]
        return f"{mark}{names.get(reference, reference)}"

    return _REFERENCE.sub(name, text)


def _with_files(text: str, files: Iterable[str]) -> str:
    listed = ", ".join(files)
    return f"{text}\n(files: {listed})".strip() if listed else text
