"""The files of a turn's messages: fetched when they are needed, never kept."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from bot.errors import RunFailed
from bot.media import Attachment
from bot.models import Run
from bot.slack.files import Files
from bot.store.journal import Turn
from bot.store.steps import UNREAD, Step
from bot.telemetry.log import log
from bot.texts.files import REFUSED, unread

T = TypeVar("T")

Offered = Mapping[str, Sequence[Attachment]]
"""Files by the ts of their message."""


async def load_files(turn: Turn, files: Files, kinds: Collection[str], until: Step[Run]) -> Offered:
    """The files of the messages that are to be answered; none once the step `until` is done.

    Those that cannot be read are noted in the journal, for `unread_note`.
    """
    if turn.recall(until) is not None:
        return {}
    loaded = {}
    for message in turn.claim.messages:
        if message.files:
            loaded[message.ts] = await files.load(message.files, kinds)
    if not loaded:
        return {}
    await turn.note(UNREAD, [name for found in loaded.values() for name in found.unread])
    return {ts: found.attachments for ts, found in loaded.items()}


async def offering(turn: Turn, files: Offered, work: Callable[[Offered], Awaitable[T]]) -> T:
    """Work with the files; where the server refuses, and so has done nothing, without them:
    first without audio, then without any. What was left out is noted.
    """
    *attempts, last = _attempts(files)
    for attempt in attempts:
        try:
            result = await work(attempt)
        except RunFailed as error:
            if error.reason != "bad_request":
                raise
            log.warning("files_refused", turn=turn.id, reason=error.reason)
        else:
            await _note_refused(turn, files, attempt)
            return result
    result = await work(last)
    await _note_refused(turn, files, last)
    return result


def _attempts(files: Offered) -> list[Offered]:
    kinds = {file.kind for offered in files.values() for file in offered}
    silent = {ts: [f for f in offered if f.kind != "audio"] for ts, offered in files.items()}
    some = [silent] if {"audio"} < kinds else []
    return [files, *some, {}] if kinds else [files]


async def _note_refused(turn: Turn, files: Offered, taken: Offered) -> None:
    refused = [
        f"{file.name} ({REFUSED})"
        for ts, offered in files.items()
        for file in offered
        if file not in taken.get(ts, ())
    ]
    if refused:
        await turn.note(UNREAD, [*(turn.recall(UNREAD) or []), *refused])


def unread_note(turn: Turn) -> str:
    """What is to be said of files that could not be read; empty where there are none."""
    names = turn.recall(UNREAD)
    return unread(names or ())
