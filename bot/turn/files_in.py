"""The files of a turn's messages: downloaded on demand, never stored."""

from collections.abc import Collection, Iterable

from bot.media import kept_text
from bot.models import Message, Run
from bot.slack.files import Loaded
from bot.store.journal import Turn
from bot.store.steps import KEPT_FILES, UNREAD, Step
from bot.turn.file_fallback import Offered
from bot.turn.services import Services

NO_FILES: Offered = {}
"""One for all turns."""


async def load_files(
    turn: Turn,
    services: Services,
    messages: Iterable[Message],
    kinds: Collection[str],
    until: Step[Run],
) -> Offered:
    """The files of the messages; none once the step `until` is done.

    The names of those that cannot be read are recorded, for the notes below the answer.
    """
    if turn.recall(until) is not None:
        return NO_FILES
    loaded = {m.ts: await _load(services, m, kinds) for m in messages if m.files}
    if not loaded:
        return NO_FILES
    await turn.note(UNREAD, [name for found in loaded.values() for name in found.unread])
    await turn.note(KEPT_FILES, {ts: kept_text(found.attachments) for ts, found in loaded.items()})
    return {ts: found.attachments for ts, found in loaded.items()}


async def _load(services: Services, message: Message, kinds: Collection[str]) -> Loaded:
    """Load the files of a message, and note which recordings have no transcript yet.

    The note is stored before the file is checked for the last time, so no transcript is missed.
    """
    files, routing = services.files, services.store.routing
    loaded = await files.load(message.files, kinds)
    came = False
    for file in loaded.unheard:
        await routing.await_transcript(file.id, message)
        if await files.is_transcribed(file):
            await routing.end_await(file.id)
            came = True
    return await files.load(message.files, kinds) if came else loaded
