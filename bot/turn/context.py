"""The input of the engine: the messages of a turn, their authors, and the messages around them.

Journaled as one step: a resumed turn sends the same text, by which the engine may have to find a
message.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bot.models import Message, Record
from bot.slack.threads import Line
from bot.store.journal import Turn
from bot.store.steps import HEARD, Heard
from bot.turn.batch import Request
from bot.turn.services import Services

_REFERENCE = re.compile(r"@([UW][A-Z0-9]{6,})\b")


async def gather(turn: Turn, services: Services, request: Request) -> Heard:
    """All messages for the engine in this turn, in Slack's order.

    If several people write in the thread, or did before, each message begins with its author's
    name.
    """
    store, threads, asked = services.store, services.threads, request.messages

    async def work(_: bool) -> Heard:
        background = await store.routing.catch_up(turn, asked[-1].ts)
        before: list[Line] = []
        if background.first and asked[0].ts != asked[0].thread.thread_ts:
            before = await _said_before(turn, services, request)
            strangers = {line.user_id: line.ts for line in before if line.user_id and not line.ours}
            await store.routing.note_speakers(turn.claim.thread, strangers)
        since = float(asked[0].ts) if before else 0.0
        overheard = [
            message
            for message in background.overheard
            if message.kind == "message" and float(message.ts) > since
            if not await services.rights.refusal(message)
        ]
        messages = sorted([*overheard, *asked], key=lambda message: float(message.ts))
        speakers = _speakers(before, messages) | set(background.speakers)
        names = await threads.names(_mentioned(before, messages) | speakers - {""})
        several = len(speakers) > 1
        return Heard(
            tuple(_record(line, names, several=several) for line in before),
            tuple(_spoken(message, names, several=several) for message in messages),
        )

    return await turn.once(HEARD, work)


async def recollect(turn: Turn, services: Services, request: Request) -> list[Record]:
    """The thread before this turn, read from Slack because our record is gone."""
    threads, asked = services.threads, request.messages
    lines = await _said_before(turn, services, request)
    speakers = _speakers(lines, asked)
    names = await threads.names(_mentioned(lines, asked) | speakers - {""})
    return [_record(line, names, several=len(speakers) > 1) for line in lines]


async def _said_before(turn: Turn, services: Services, request: Request) -> list[Line]:
    """The thread, read from Slack, without messages of people who are refused."""
    thread = turn.claim.thread
    lines = await services.threads.said_before(thread, request.messages[0].ts)
    others = (line.user_id for line in lines if not line.ours)
    refused = await services.rights.refused_among(thread, others)
    return [line for line in lines if line.user_id not in refused]


def _speakers(before: Iterable[Line], messages: Iterable[Message]) -> set[str]:
    others = {line.user_id or line.name for line in before if not line.ours}
    return others | {message.user_id for message in messages}


def _mentioned(before: Iterable[Line], messages: Iterable[Message]) -> set[str]:
    texts = [*(line.text for line in before), *(message.text for message in messages)]
    return {user_id for text in texts for user_id in _REFERENCE.findall(text)}


def _record(line: Line, names: Mapping[str, str], *, several: bool) -> Record:
    text = _with_files(_named(line.text, names), line.files)
    if line.ours:
        return Record("assistant", text, line.ts)
    speaker = names.get(line.user_id) or line.name or line.user_id
    return Record("user", f"{speaker}: {text}" if several else text, line.ts, line.user_id)


def _spoken(message: Message, names: Mapping[str, str], *, several: bool) -> Message:
    text = _with_files(_named(message.text, names), [file.name for file in message.files])
    if several:
        text = f"{names.get(message.user_id, message.user_id)}: {text}"
    return replace(message, text=text)


def _named(text: str, names: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: f"@{names.get(found[1], found[1])}", text)


def _with_files(text: str, files: Iterable[str]) -> str:
    listed = ", ".join(files)
    return f"{text}\n(files: {listed})".strip() if listed else text
