"""Files that the AI server rejects: the request is sent again without them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from bot.engines import Engine, RunRequest
from bot.engines.wrapper import EngineWrapper
from bot.errors import RunFailed
from bot.media import Attachment
from bot.models import Conversation, Message, Run
from bot.store.journal import Turn
from bot.store.steps import UNREAD
from bot.telemetry.log import log
from bot.texts.files import REFUSED

T = TypeVar("T")

MOST_TRIED = 6
"""Up to this many files, the rejected one is searched for: each try leaves one of them out."""

Offered = Mapping[str, Sequence[Attachment]]
"""Files by the ts of their message."""


class FileFallback(EngineWrapper):
    """Retries a request without the files that the server rejects.

    A rejected request had no effect. It is sent again without the rejected file; the names of
    omitted files are recorded, for the notes below the answer.
    """

    def __init__(self, engine: Engine, turn: Turn) -> None:
        super().__init__(engine)
        self._turn = turn

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        async def send(chosen: Offered) -> str:
            taken = chosen.get(message.ts, ())
            return await self._engine.append(
                conversation, message, turn_id=turn_id, again=again, files=taken
            )

        return await self._send({message.ts: files} if files else {}, send)

    async def start(self, request: RunRequest) -> Run:
        async def send(chosen: Offered) -> Run:
            return await self._engine.start(replace(request, files=chosen))

        return await self._send(request.files, send)

    async def _send(self, files: Offered, send: Callable[[Offered], Awaitable[T]]) -> T:
        attempts = _attempts(files)
        for number, attempt in enumerate(attempts, 1):
            refused = _left_out(files, attempt)
            try:
                result = await send(attempt)
            except RunFailed as error:
                if error.reason != "bad_request" or number == len(attempts):
                    raise
                log.warning("files_refused", turn=self._turn.id, reason=error.reason)
            else:
                if refused:
                    await self._turn.note(UNREAD, [*(self._turn.recall(UNREAD) or []), *refused])
                return result
        raise AssertionError("the last attempt returns or raises")


def _left_out(files: Offered, taken: Offered) -> list[str]:
    """The names of the files that are not among those `taken`, for people."""
    return [
        f"{file.name} ({REFUSED})"
        for ts, offered in files.items()
        for file in offered
        if file not in taken.get(ts, ())
    ]


def _attempts(files: Offered) -> list[Offered]:
    """The sets of files to try until the server accepts one: all, all but audio, all but one, only
    one kind, and finally only the text files, which are part of the message itself."""
    media = [file for offered in files.values() for file in offered if file.kind != "text"]
    if not media:
        return [files]
    kinds = sorted({file.kind for file in media})
    chosen = [media]
    if "audio" in kinds and len(kinds) > 1:
        chosen.append([file for file in media if file.kind != "audio"])
    if 1 < len(media) <= MOST_TRIED:
        chosen += [[file for file in media if file is not bad] for bad in media]
    if len(kinds) > 1:
        chosen += [[file for file in media if file.kind == kind] for kind in kinds]
    return [_only(files, each) for each in (*chosen, ())]


def _only(files: Offered, chosen: Sequence[Attachment]) -> Offered:
    """The text files and the chosen other files."""
    kept = set(map(id, chosen))
    return {
        ts: [file for file in offered if file.kind == "text" or id(file) in kept]
        for ts, offered in files.items()
    }
