"""The bot's processes in `bot try`: started, watched and restarted.

Their logs (JSON lines at DEBUG) become the steps of "What happened".
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import click

from bot.errors import ConfigError
from bot.models import Thread
from bot.texts.steps import describe_step
from bot.tryout.config import environment
from bot.tryout.sandbox import Sandbox
from local_slack.local_slack import LocalSlack

START_SECONDS = 40.0
RESTART_SECONDS = 0.3
LEAVE_SECONDS = 12.0
LINE_BYTES = 1024 * 1024

SOURCES = {
    "ai_request": "ai",
    "ai_request_refused": "ai",
    "message_delivered": "inbox",
    "message_seen_before": "inbox",
}
"""The source of log events on the page; all other events belong to a turn."""
WORDS = {
    "message_delivered": "stored the message in the thread's inbox",
    "message_seen_before": "message seen before: ignored",
    "turn_taken": "a worker took the message",
    "turn_answered": "answered",
    "turn_delayed": "could not answer yet: tries again later",
    "turn_suspended": "waits for a person",
    "threads_rescued": "took over the threads of a dead worker",
    "dead_letter_added": "gave the message up",
}
"""Log events in plain words."""
PARTS = {"waited": "waiting", "earlier": "earlier attempts", "ai": "AI server", "slack": "Slack"}
"""The parts of an answer's time in `turn_answered`; the rest is the bot's own."""
SHORTEST_PAUSE = 0.5
"""Seconds between two attempts at least; less is the bot's own time before the first one."""
SHOWN = frozenset(
    {"event", "exception", "level", "messages", "ms", "request", "status"}
    | {"step", "thread", "timestamp", "ts", "turn", "waits"}
)
"""Fields that are shown separately; the others are details."""


@asynccontextmanager
async def open_program(part: str, sandbox: Sandbox) -> AsyncIterator["Program"]:
    """Run `web` or `worker` for as long as the block lasts."""
    program = Program(part, sandbox)
    running = asyncio.create_task(program.run())
    try:
        yield program
    finally:
        running.cancel()
        await asyncio.wait([running])
        await program.leave()


class Program:
    """One process of the bot."""

    def __init__(self, part: str, sandbox: Sandbox) -> None:
        self.pid = 0
        self._part = part
        self._sandbox = sandbox
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._failure = ""
        self._on_start: Callable[[int], None] = lambda pid: None

    def when_started(self, on_start: Callable[[int], None]) -> None:
        """Call `on_start` with the process id of every process that is started from now on."""
        self._on_start = on_start

    async def is_ready(self) -> None:
        """Wait until it is ready; raises ConfigError if it cannot start."""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await self._ready.wait()
        if self._failure or not self._ready.is_set():
            raise ConfigError("BOT_STATE_DIR", f"the {self._part} did not start. {self._failure}")

    async def run(self) -> None:
        """Start it, and restart it when it ends, unless it never became ready."""
        while True:
            process = await self._start()
            last = await self._listen(process)
            code = await process.wait()
            if not self._ready.is_set():
                self._failure = last
                self._ready.set()
                return
            self._sandbox.slack.trace("fault", f"the {self._part} has ended", status=_ending(code))
            await asyncio.sleep(RESTART_SECONDS)

    async def _start(self) -> asyncio.subprocess.Process:
        given = environment(self._sandbox.settings)
        given["BOT_STATE_DIR"] = str(self._sandbox.directory)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot.tryout.child", self._part),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=given,
            start_new_session=True,  # Ctrl-C is for this process, which ends its children itself
            limit=LINE_BYTES,
        )
        self.pid = self._process.pid
        self._on_start(self.pid)
        return self._process

    async def _listen(self, process: asyncio.subprocess.Process) -> str:
        """Read the log to its end; returns its last line."""
        assert process.stderr is not None
        last = ""
        async for raw in process.stderr:
            last = raw.decode(errors="replace").rstrip()
            entry = _parse(last)
            if entry is None:
                click.echo(f"{self._part}: {last}", err=True)
                continue
            if entry["event"] == "ready":
                self._ready.set()
            report(self._sandbox.slack, entry)
            if entry.get("level") in ("warning", "error", "critical"):
                click.echo(f"{self._part}: {_line(entry)}", err=True)
        return last

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def leave(self) -> None:
        """Send SIGTERM and wait while it hands its work over."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def report(slack: LocalSlack, entry: dict[str, Any]) -> None:
    """Add a log entry that names a thread to the workspace's trace."""
    if "thread" not in entry:
        return
    thread = Thread.parse(entry["thread"])
    slack = slack.added.find(thread.team_id) if slack.added else slack
    event, ms, status = entry["event"], entry.get("ms"), str(entry.get("status", ""))
    began = datetime.fromisoformat(entry["timestamp"]).timestamp() - (ms or 0) / 1000
    named = WORDS.get(event, event.replace("_", " "))
    if "step" in entry:
        named = describe_step(str(entry["step"]))
    details = (f"{name}: {value}" for name, value in entry.items() if name not in SHOWN and value)
    taken = entry["messages"] if event == "turn_taken" else ()
    slack.trace(
        SOURCES.get(event, "turn"),
        entry.get("request") or named,
        at=began,
        ms=ms,
        status=status,
        ok=entry.get("level") in ("debug", "info") and status[:1] in ("", "2", "3"),
        detail=", ".join(details),
        channel_id=thread.channel_id,
        thread_ts=thread.thread_ts,
        ts=entry.get("ts", ""),
        turn=entry.get("turn", ""),
        messages=tuple(taken),
        summary=summarize(entry) if event == "turn_answered" else "",
    )


def summarize(entry: Mapping[str, Any]) -> str:
    """How long an answer took, and its parts, which add up to the total."""
    parts = {words: _hundredths(entry.get(name)) for name, words in PARTS.items()}
    if (entry.get("earlier") or 0) < SHORTEST_PAUSE:
        del parts[PARTS["earlier"]]
    parts["an outage"] = _hundredths(sum((entry.get("waited_for") or {}).values()))
    total = _hundredths(entry.get("total"))
    parts["the bot itself"] = total - sum(parts.values())
    if parts["the bot itself"] < 0:  # each part is rounded
        parts[max(parts, key=lambda words: parts[words])] += parts.pop("the bot itself")
    shown = ", ".join(f"{part / 100:.2f} s {words}" for words, part in parts.items() if part > 0)
    return f"Answered in {total / 100:.2f} s{f': {shown}' if shown else ''}"


def _hundredths(seconds: float | None) -> int:
    return round(100 * (seconds or 0))


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None


def _line(entry: dict[str, Any]) -> str:
    hidden = ("event", "level", "timestamp", "exception")
    facts = " ".join(f"{name}={value}" for name, value in entry.items() if name not in hidden)
    return f"{entry['level']}: {entry['event']} {facts}"


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"
