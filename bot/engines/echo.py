"""The engine without an AI: its answer shows the messages that the conversation holds.

A line `call NAME {"argument": 1}` of the last message calls the function of this name, if there is
one; the answer then shows what came of it. Lines behind a line `then` are called one round later.

For `bot try` and tests. Conversations are stored in one SQLite file, so that they survive the
process and several processes can share them.
"""

import asyncio
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bot.calls import FunctionCall, FunctionOutput
from bot.engines import RunRequest
from bot.engines.retraction import find_place
from bot.errors import ConfigError, ConversationGone, RunFailed
from bot.media import Attachment, FileKind
from bot.models import (
    Conversation,
    MadeFile,
    Message,
    Record,
    Run,
    Thread,
    Update,
    Usage,
    decode,
    encode,
)
from bot.settings import Settings
from bot.timing import EngineTiming

T = TypeVar("T")

FIRST_WORD_SECONDS = 0.3
WORD_SECONDS = 0.02
TICK_SECONDS = 0.25
_CALL = re.compile(r"(?:.*\s)?call ([A-Za-z0-9_-]+)(?:\s+(\{.*\}))?")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (id TEXT PRIMARY KEY, began REAL);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, conversation TEXT, role TEXT, ts TEXT, text TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS once ON messages (conversation, ts) WHERE ts != '';
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, conversation TEXT, turn TEXT, began REAL, answer TEXT,
    cancelled REAL, UNIQUE (conversation, turn)
);
CREATE TABLE IF NOT EXISTS calls (run TEXT PRIMARY KEY, calls TEXT);
"""


@asynccontextmanager
async def open_echo(
    settings: Settings, timing: EngineTiming = EngineTiming()
) -> AsyncIterator["EchoEngine"]:
    """Open the engine on `echo.db` in the state directory, which is created if needed.

    No timing applies: there is no server. Raises ConfigError if the directory cannot be written.
    """
    directory = settings.bot_state_dir
    try:
        directory.mkdir(parents=True, exist_ok=True)
        engine = EchoEngine(directory / "echo.db", deadline=settings.bot_run_deadline)
    except (OSError, sqlite3.OperationalError) as error:
        raise ConfigError("BOT_STATE_DIR", f"{directory} cannot be used: {error}") from None
    try:
        yield engine
    finally:
        engine.close()


class EchoEngine:
    """`bot.engines.Engine` over a SQLite file, or in memory if `path` is `:memory:`.

    An answer's first word comes after `first` seconds and each further one after `word` seconds.
    """

    name = "echo"
    appends = True
    reads: frozenset[FileKind] = frozenset({"image", "document", "audio", "text"})

    def __init__(
        self,
        path: Path | str,
        *,
        first: float = FIRST_WORD_SECONDS,
        word: float = WORD_SECONDS,
        deadline: float = 600,
    ) -> None:
        self._first = first
        self._word = word
        self._deadline = deadline
        self._one_at_a_time = threading.Lock()
        self._db = sqlite3.connect(
            path, timeout=10, check_same_thread=False, isolation_level="IMMEDIATE"
        )
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}")

    def close(self) -> None:
        with self._one_at_a_time:
            self._db.close()

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        conversation_id = f"echo_{secrets.token_hex(8)}"

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO conversations VALUES (?, ?)", (conversation_id, time.time()))
            db.executemany(
                "INSERT INTO messages (conversation, role, ts, text) VALUES (?, ?, '', ?)",
                [(conversation_id, record.role, record.text) for record in history],
            )

        await self._do(write)
        return conversation_id

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        """A message is known by its `ts`: a second time changes nothing."""

        def write(db: sqlite3.Connection) -> str:
            _must_exist(db, conversation.id)
            db.execute(
                "INSERT OR IGNORE INTO messages (conversation, role, ts, text)"
                " VALUES (?, 'user', ?, ?)",
                (conversation.id, message.ts, message.text),
            )
            number = db.execute(
                "SELECT number FROM messages WHERE conversation = ? AND ts = ?",
                (conversation.id, message.ts),
            ).fetchone()[0]
            return f"message_{number}"

        return await self._do(write)

    async def start(self, request: RunRequest) -> Run:
        """A run is known by its turn and round: a second time finds the first one."""

        conversation_id, asked_by = request.conversation.id, request.asked_by
        turn = f"{request.turn_id}:{asked_by.id}" if asked_by else request.turn_id

        def write(db: sqlite3.Connection) -> Run:
            _must_exist(db, conversation_id)
            calls = scripted_calls(request)
            answer = "" if calls else self.compose(_read_questions(db, conversation_id), request)
            run_id = f"echo_run_{secrets.token_hex(8)}"
            made = db.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, NULL)",
                (run_id, conversation_id, turn, time.time(), answer),
            )
            if calls and made.rowcount:
                text = encode(calls, tuple[FunctionCall, ...])
                db.execute("INSERT INTO calls VALUES (?, ?)", (run_id, text))
            run_id, began = db.execute(
                "SELECT id, began FROM runs WHERE conversation = ? AND turn = ?",
                (conversation_id, turn),
            ).fetchone()
            return Run(run_id, conversation_id, began, takes_calls=request.takes_calls)

        return await self._do(write)

    def compose(self, questions: Sequence[str], request: RunRequest) -> str:
        """The answer to a conversation with these messages of people. A subclass has its own."""
        count = "1 message" if len(questions) == 1 else f"{len(questions)} messages"
        lines = [f"{number}. {' '.join(text.split())}" for number, text in enumerate(questions, 1)]
        outputs = (*request.earlier, *request.outputs)
        results = [f"- `{each.call.name}`: {' '.join(each.text.split())}" for each in outputs]
        return "\n".join(
            [
                f"I am the echo engine: no AI is behind me. This conversation holds {count}:",
                "",
                *lines,
                *(["", "What the tools said:", "", *results] if results else []),
            ]
        ).strip()

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        """The progress depends only on the time: every process sees the same."""
        shown = None
        while True:
            began, answer, cancelled = await self._do(lambda db: _find_run(db, run.id))
            now = time.time() if cancelled is None else cancelled
            text = self._said(answer, now - began)
            if cancelled is not None:
                yield Update("cancelled", text)
                return
            if text == answer:
                calls = await self._do(lambda db: _calls_of(db, run))
                done = Update("completed", text, usage=Usage(), last_item_id=run.id, model="echo")
                yield replace(done, calls=calls)
                return
            if now >= began + self._deadline:
                await self.cancel(run)
                raise RunFailed("expired", "deadline", text=text)
            if text != shown:
                yield Update("in_progress", text)
                shown = text
            left = began + self._first + self._word * len(_words(answer)) - now
            await asyncio.sleep(max(0.0, min(TICK_SECONDS, left)))

    async def cancel(self, run: Run) -> None:
        def write(db: sqlite3.Connection) -> None:
            began, answer, cancelled = _find_run(db, run.id)
            now = time.time()
            if cancelled is None and self._said(answer, now - began) != answer:
                db.execute("UPDATE runs SET cancelled = ? WHERE id = ?", (now, run.id))

        await self._do(write)

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        """A conversation here holds messages only."""

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        raise RunFailed("failed", "file_not_found")

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        place = find_place(history, ts)
        if place is None:
            return

        def write(db: sqlite3.Connection) -> None:
            rows = db.execute(
                "SELECT number FROM messages WHERE conversation = ? AND role = 'user'"
                " AND text = ? ORDER BY number",
                (conversation.id, place.text),
            ).fetchall()
            gone = place.among(rows, again=again)
            if gone is not None:
                db.execute("DELETE FROM messages WHERE number = ?", gone)

        await self._do(write)

    async def delete_run(self, run_id: str) -> None:
        """Nothing is left of a run once its conversation is deleted."""

    async def delete(self, conversation_id: str) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM messages WHERE conversation = ?", (conversation_id,))
            of_runs = "DELETE FROM calls WHERE run IN (SELECT id FROM runs WHERE conversation = ?)"
            db.execute(of_runs, (conversation_id,))
            db.execute("DELETE FROM runs WHERE conversation = ?", (conversation_id,))
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

        await self._do(write)

    def _said(self, answer: str, seconds: float) -> str:
        """The words of the answer that are shown after this number of seconds."""
        seconds -= self._first
        if seconds < 0:
            return ""
        words = _words(answer)
        return "".join(words[: int(seconds / self._word) + 1] if self._word else words)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction, in a thread: another process may have locked the file."""

        def transact() -> T:
            with self._one_at_a_time, self._db:
                return work(self._db)

        return await asyncio.to_thread(transact)


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _must_exist(db: sqlite3.Connection, conversation_id: str) -> None:
    found = db.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    if found is None:
        raise ConversationGone(conversation_id)


def _find_run(db: sqlite3.Connection, run_id: str) -> tuple[float, str, Any]:
    row = db.execute("SELECT began, answer, cancelled FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise ConversationGone(run_id)
    began, answer, cancelled = row
    return began, answer, cancelled


def scripted_calls(request: RunRequest) -> tuple[FunctionCall, ...]:
    """The calls that the last message requests in this round; none if none may be made."""
    if not request.takes_calls or not request.messages:
        return ()
    known = {function.name for function in request.allowed}
    rounds: list[list[FunctionCall]] = [[]]
    for line in request.messages[-1].text.splitlines():
        if line.strip() == "then":
            rounds.append([])
        elif (found := _CALL.fullmatch(line.strip())) and found[1] in known:
            call_id = f"call_{len(rounds)}_{len(rounds[-1])}"
            rounds[-1].append(FunctionCall(call_id, found[1], found[2] or "{}"))
    rounds = [calls for calls in rounds if calls]
    done = {output.call.id for output in (*request.earlier, *request.outputs)}
    left = [calls for calls in rounds if calls[0].id not in done]
    return tuple(left[0]) if left else ()


def _calls_of(db: sqlite3.Connection, run: Run) -> tuple[FunctionCall, ...]:
    found = db.execute("SELECT calls FROM calls WHERE run = ?", (run.id,)).fetchone()
    return decode(tuple[FunctionCall, ...], found[0]) if found and run.takes_calls else ()


def _read_questions(db: sqlite3.Connection, conversation_id: str) -> list[str]:
    rows = db.execute(
        "SELECT text FROM messages WHERE conversation = ? AND role = 'user' ORDER BY number",
        (conversation_id,),
    )
    return [text for (text,) in rows]
