"""Files that the model made: fetched immediately and posted in the thread."""

import re
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from bot.engines import Engine
from bot.errors import BotError, RateLimited, StoreUnavailable, Superseded
from bot.models import Answer, MadeFile, Run
from bot.slack.files import Files, NotTaken
from bot.slack.markdown.bounds import CODE_WORK, WORK, affordable, layout_work, parsing_work
from bot.slack.markdown.clean import clean
from bot.slack.markdown.code import code_blocks
from bot.slack.markdown.markers import with_line_breaks
from bot.slack.markdown.reasoning import split_reasoning
from bot.slack.markdown.render import in_thread, render
from bot.slack.markdown.split import LIMIT, MAX_BLOCKS, parts
from bot.store import steps
from bot.store.journal import Turn
from bot.store.steps import Step
from bot.telemetry.log import log
from bot.texts.answers import HERE, REST_ATTACHED, REST_LEFT_OUT, stopped
from bot.turn.services import Services
from bot.turn.story import Ended

MOST_FILES = 10
SNIPPET_CHARS = 10_000
"""Code of at least this length is also attached as a file."""
_LONGEST_REST = 1_000
"""Characters of an incomplete last line that are left out."""
_LONGEST_BREAK = 61
"""Characters of a line break that takes the place of a tag."""
_LONGER = re.compile(r"[*~@\]$]|https?:")
_LESS = 0.9
"""The share of the text that should fit that is tried."""
ENDINGS = {
    "bash": "sh",
    "c": "c",
    "c++": "cpp",
    "cpp": "cpp",
    "csharp": "cs",
    "css": "css",
    "csv": "csv",
    "go": "go",
    "html": "html",
    "java": "java",
    "javascript": "js",
    "js": "js",
    "json": "json",
    "kotlin": "kt",
    "markdown": "md",
    "php": "php",
    "py": "py",
    "python": "py",
    "ruby": "rb",
    "rust": "rs",
    "sh": "sh",
    "sql": "sql",
    "swift": "swift",
    "ts": "ts",
    "tsx": "tsx",
    "typescript": "ts",
    "xml": "xml",
    "yaml": "yaml",
    "yml": "yaml",
}


async def with_files(turn: Turn, services: Services, ended: Ended, reason: str) -> Answer:
    """The answer of the last run, with the files of all runs brought to Slack.

    `reason` is that of an interrupt.
    """
    run, update = ended.run, ended.update
    cancelled = update.status == "cancelled"
    if run is None:
        return Answer(stopped(update.text), outcome="cancelled", reason=reason)
    files = await fetch(turn, services.engine, services.files, ended.files)
    text, attached = await attach(turn, services.files, update.text, services.answer_messages)
    files += attached
    text = text if text.strip() or not files else HERE
    return Answer(
        stopped(text) if cancelled else text,
        outcome=update.status,
        reason=reason,
        citations=update.citations,
        files=files,
        usage=update.usage,
        last_item_id="" if cancelled else update.last_item_id,
        model=update.model,
        run_id=run.id,
    )


async def fetch(
    turn: Turn, engine: Engine, files: Files, made: Iterable[tuple[Run, MadeFile]]
) -> tuple[str, ...]:
    """Copy files from the AI server to Slack, not shared yet; returns their ids there.

    A container lives for only 20 minutes, so this comes first. Files that cannot be fetched are
    noted in the journal, for the notes below the answer.
    """
    ids: list[str] = []
    lost: list[str] = []
    for index, (run, file) in enumerate([*made][:MOST_FILES]):
        read = partial(engine.fetch, run, file)
        file_id = await _bring(turn, files, steps.made_file(index), file.name, read)
        (ids if file_id else lost).append(file_id or file.name)
    if lost:
        await turn.note(steps.UNATTACHED, lost)
    return tuple(ids)


async def attach(turn: Turn, files: Files, text: str, messages: int) -> tuple[str, tuple[str, ...]]:
    """The part of a text that fits into this number of messages, and the ids of its files: long
    code, and all of the text if it does not fit."""
    answer = await in_thread(without_reasoning, text)
    code = await snippets(turn, files, answer)
    shown, whole = await fit(turn, files, text, answer, messages)
    return shown, (*code, *whole)


async def snippets(turn: Turn, files: Files, answer: str) -> tuple[str, ...]:
    """Upload the answer's long code as files, because it is split in messages."""
    ids = []
    found = await in_thread(long_code, answer)
    for index, (name, code) in enumerate(found[:MOST_FILES]):

        async def read(code: str = code) -> bytes:
            return code.encode()

        ids.append(await _bring(turn, files, steps.code_file(index), name, read))
    return tuple(filter(None, ids))


def without_reasoning(text: str) -> str:
    """The answer that follows the reasoning of a text."""
    return split_reasoning(text).answer


def long_code(answer: str) -> list[tuple[str, str]]:
    """Fenced code that is too long for one message, with file names.

    Code that begins very late, or is not complete where the search ends, has no file of its own.
    """
    if len(answer) < SNIPPET_CHARS:
        return []
    end = affordable(answer, parsing_work, CODE_WORK)
    found = code_blocks(answer[:end], complete=end < len(answer))
    return [
        (f"code{number}.{ENDINGS.get(block.language.lower(), 'txt')}", block.code)
        for number, block in enumerate((b for b in found if len(b.code) >= SNIPPET_CHARS), 1)
    ]


async def _bring(
    turn: Turn, files: Files, step: Step[str], name: str, read: Callable[[], Awaitable[bytes]]
) -> str:
    """Upload a file without sharing it; returns its id, or "" if that fails.

    Raises RateLimited: the turn is retried.
    """

    async def bring(_: bool) -> str:
        try:
            return await files.upload(name, await read())
        except (RateLimited, StoreUnavailable, Superseded):
            raise
        except (BotError, NotTaken) as error:
            log.warning("file_not_fetched", turn=turn.id, error=str(error)[:100])
            return ""

    return await turn.once(step, bring)


async def fit(
    turn: Turn, files: Files, text: str, answer: str, messages: int
) -> tuple[str, tuple[str, ...]]:
    """The part of a text that fits into this number of messages, and the file with all of it.

    `answer` is the text without its reasoning. Returns the text itself and no file if it fits, or
    if the file could not be uploaded.
    """
    shown = await in_thread(first_messages, text, messages, answer)
    if shown == text:
        return text, ()

    async def read() -> bytes:
        return (await in_thread(clean, text)).encode()

    file_id = await _bring(turn, files, steps.WHOLE_ANSWER, "answer.md", read)
    return shown + (REST_ATTACHED if file_id else REST_LEFT_OUT), tuple(filter(None, [file_id]))


def first_messages(text: str, messages: int, answer: str | None = None) -> str:
    """The beginning of a text that fits into this number of messages, cut at a message boundary.

    Reasoning does not count. It stays before its answer, since citations are offsets into all of
    the text. `answer` is the text without it, if that is known.
    """
    answer = without_reasoning(text) if answer is None else answer
    shown = _first_messages(answer, messages)
    if shown == answer:
        return text
    return (text[: len(text) - len(answer)] if text.endswith(answer) else "") + shown


def _first_messages(text: str, messages: int) -> str:
    """The same for an answer without reasoning. What is not shown is not parsed."""
    if len(text) <= LIMIT and len(text.splitlines()) <= MAX_BLOCKS // 2:
        return text
    begin = text[: (messages + 1) * LIMIT]
    shown, count = _cut(text, affordable(begin, layout_work, messages * WORK), messages)
    while _may_grow(shown, messages - count) and (made := len(parts(render(shown)))) > messages:
        shown, count = _cut(text, int(len(shown) * messages / made * _LESS), messages)
    return shown


def _cut(text: str, end: int, messages: int) -> tuple[str, int]:
    """At most `text[:end]`, in this number of messages, and their number. It ends with a line if
    possible."""
    if end < len(text):
        end = text.rfind("\n", max(1, end - _LONGEST_REST), end) + 1 or end
    found = parts(with_line_breaks(text[:end]))
    if len(found) <= messages and end == len(text):
        return text, len(found)
    shown = found[:messages]
    return (text[: shown[-1].end] + shown[-1].closing).rstrip(), len(shown)


def _may_grow(text: str, spare: int) -> bool:
    """Whether a text may take more than this number of messages more once it is rendered. Tags may
    become lines, and other marks get up to three characters longer."""
    tags = text.count("<")
    longer = 3 * (text.count(">") + len(_LONGER.findall(text))) + _LONGEST_BREAK * tags
    return longer > spare * LIMIT or tags > spare * MAX_BLOCKS // 2
