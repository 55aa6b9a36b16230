"""What the model has made besides words: fetched at once, and put into the thread."""

from collections.abc import Iterable

from bot.engines import Engine
from bot.errors import BotError, StoreUnavailable, Superseded
from bot.log import log
from bot.models import MadeFile, Run, Thread
from bot.slack.files import Files, NotTaken
from bot.store.turns import Turn

MOST_FILES = 10
STEP = "unattached"


async def fetch(
    turn: Turn, engine: Engine, files: Files, run: Run, made: Iterable[MadeFile]
) -> tuple[str, ...]:
    """Bring files from the AI server to Slack, where nobody sees them yet; their ids there.

    A container lives for 20 minutes only, so this comes before anything else. What cannot be had
    is noted in the journal, for `missing`.
    """
    ids: list[str] = []
    lost: list[str] = []
    for index, file in enumerate([*made][:MOST_FILES]):

        async def bring(_: bool, file: MadeFile = file) -> str:
            try:
                return await files.upload(file.name, await engine.fetch(run, file))
            except (StoreUnavailable, Superseded):
                raise
            except (BotError, NotTaken) as error:
                log.warning("file_not_fetched", turn=turn.id, error=str(error)[:100])
                return ""

        file_id = await turn.once(f"file:{index}", str, bring)
        (ids if file_id else lost).append(file_id or file.name)
    if lost:
        await turn.note(STEP, lost)
    return tuple(ids)


async def share(turn: Turn, files: Files, thread: Thread, ids: Iterable[str]) -> None:
    """Show the files in the thread, each once."""
    for file_id in ids:

        async def show(again: bool, file_id: str = file_id) -> bool:
            try:
                await files.share(thread, file_id, again=again)
            except NotTaken as error:
                log.warning("file_not_shared", turn=turn.id, error=str(error)[:100])
                return False
            return True

        await turn.once(f"share:{file_id}", bool, show)


def missing(turn: Turn) -> list[str]:
    """The names of the files that could not be fetched."""
    return turn.recall(STEP, list) or []
