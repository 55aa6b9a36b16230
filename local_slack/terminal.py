"""A terminal chat in the local workspace: write, read threads, use commands and buttons."""

import asyncio
import io
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape

from local_slack.local_slack import LocalSlack
from local_slack.transcript import readable, show_thread, text_of
from local_slack.workspace.changes import Change
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json, Message

HELP = """\
Type to talk. The first message opens a thread and what follows goes into it.
  /command      a slash command of the bot, as in Slack (outside threads)
  :new          leave the thread; the next message opens a new one
  :threads      list the threads here          :open N     go to one of them
  :dm           talk to the bot directly       :channel    go back to the channel
  :as NAME      speak as someone else          :press N    press the N-th button on screen
  :do NAME      a shortcut of the bot, on this thread
  :help         this page                      :quit       leave (everything is remembered)"""

REASONS = {
    "not_supported_in_threads": "Slack has no slash commands in threads; :new leaves the thread.",
    "invalid_command": "The app has no such command.",
    "not_in_channel": "You are not in this channel.",
}
SAID = frozenset({"message_posted", "message_changed", "ephemeral_posted"})

REACTION_SECONDS = 5.0
"""How long a piped chat waits for the app's first reaction to a message."""


class Terminal:
    """One person's view of the workspace. Reads from a pipe or a keyboard."""

    def __init__(
        self,
        slack: LocalSlack,
        speaker: str,
        banner: str,
        shortcuts: Mapping[str, str],
        answered: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        """`answered` waits until the app has finished its answer in a thread (channel, ts).

        Without it, an answer counts as finished when the app has posted and shows no status.
        """
        self._answered = answered
        self._slack = slack
        self._person = slack.user(speaker)
        self._name = speaker
        self._banner = banner
        self._shortcuts = shortcuts
        self._channel = slack.channel("#general").id
        self._thread_ts: str | None = None
        self._buttons: list[tuple[str, str, str]] = []
        self._shown: dict[tuple[str, str], str] = {}
        self._status = ""
        self._reacted = True
        self._console = Console(highlight=False)

    async def run(self) -> None:
        """Chat until `:quit` or the end of the input."""
        self._say(f"[bold]A local Slack.[/bold] {escape(self._banner)}\n{escape(HELP)}")
        self._shown = self._earlier()
        stop = self._slack.workspace.changes.observe(self._see)
        try:
            with patch_stdout(raw=True):
                await self._read()
        finally:
            stop()

    async def _read(self) -> None:
        session: PromptSession[str] | None = PromptSession() if sys.stdin.isatty() else None
        piped = _read_lines() if session is None else None
        while True:
            try:
                if session is not None:
                    line = await session.prompt_async(self._prompt)
                elif piped is not None:
                    line = await piped.get()
                    if not line:
                        await self._quiet()
                        return
            except (EOFError, KeyboardInterrupt):
                return
            if line.strip() == ":quit":
                return
            if line.strip():
                self._reacted = line.startswith(":")
                await self._obey(line.strip())
                if session is None:
                    await self._quiet()

    def _prompt(self) -> str:
        place = self._place(self._channel) + (" › thread" if self._thread_ts else "")
        return f"{self._name} @ {place}{self._status}> "

    def _place(self, channel_id: str) -> str:
        channel = self._slack.workspace.get_channel(channel_id)
        return f"#{channel.name}" if channel.name else "direct message"

    async def _obey(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        try:
            if word.startswith("/"):
                await self._person.slash(word, rest, self._channel, thread_ts=self._thread_ts)
            elif word.startswith(":"):
                await self._command(word, rest.strip())
            else:
                await self._speak(line)
        except SlackError as error:
            reason = REASONS.get(error.code, f"Slack refuses: {error}")
            self._say(f"[red]{escape(reason)}[/red]")
        except (ValueError, IndexError, KeyError):
            self._say("[red]There is no such thing here.[/red] :help lists what can be done.")

    async def _speak(self, line: str) -> None:
        direct = self._slack.workspace.get_channel(self._channel).type == "im"
        if self._thread_ts is None and not direct and "@bot" not in line:
            line = f"@bot {line}"
        ts = await self._person.says(self._channel, line, thread_ts=self._thread_ts)
        self._thread_ts = self._thread_ts or ts

    async def _command(self, word: str, rest: str) -> None:
        match word:
            case ":new":
                self._thread_ts = None
            case ":channel":
                self._channel, self._thread_ts = self._slack.channel("#general").id, None
            case ":dm":
                self._channel, self._thread_ts = self._person.dm(), None
            case ":as":
                self._person, self._name = self._slack.user(rest), rest
            case ":threads":
                self._list_threads()
            case ":open":
                self._thread_ts = self._threads()[int(rest) - 1].ts
                self._say(show_thread(self._slack, self._channel, self._thread_ts))
            case ":press":
                channel, ts, action = self._buttons[int(rest) - 1]
                action_id, _, value = action.partition("\n")
                await self._person.clicks(channel, ts, action_id, value or None)
            case ":do":
                await self._person.shortcut(
                    self._shortcuts[rest], self._channel, self._thread_ts or ""
                )
            case _:
                self._say(escape(HELP))

    def _threads(self) -> list[Message]:
        return [m for m in self._slack.messages(self._channel) if not m.is_reply]

    def _list_threads(self) -> None:
        for number, root in enumerate(self._threads(), 1):
            replies = len(self._slack.thread(self._channel, root.ts)) - 1
            self._say(f"{number:3}  {escape(readable(self._slack, root)[:60])}  ({replies})")

    async def _quiet(self) -> None:
        """Wait until the bot has finished (used if the input is a pipe)."""
        await self._slack.settled()
        if self._thread_ts is not None:
            thread = self._thread_ts
            if self._answered is not None:
                await self._answered(self._channel, thread)
            else:
                await self._slack.wait_for(lambda: self._is_answered(thread), timeout=900)
        with suppress(TimeoutError):  # an ephemeral message can follow when the thread is idle
            await self._slack.wait_for(lambda: self._reacted, timeout=REACTION_SECONDS)

    def _is_answered(self, thread_ts: str) -> bool:
        thread = self._slack.thread(self._channel, thread_ts)
        last = thread[-1]
        busy = self._slack.agent_thread(self._channel, thread_ts).status
        streaming = last.stream is not None and last.stream.state == "streaming"
        return last.user_id == self._slack.bot.id and not busy and not streaming

    # Output

    def _earlier(self) -> dict[tuple[str, str], str]:
        """The texts of all messages so far: a later edit of their buttons shows none again."""
        return {
            (channel.id, message.ts): text_of({"blocks": message.blocks, "text": message.text})
            for channel in self._slack.workspace.channels.values()
            for message in self._slack.messages(channel.id)
        }

    def _see(self, change: Change) -> None:
        """Print the bot's messages to this person, in any channel."""
        data = change.data
        for_me = data.get("visible_to") in (None, self._person.id)
        if change.kind == "agent_thread":
            status = data["status"]
            self._status = f" ({self._slack.bot.name} {status})" if status else ""
        elif change.kind in SAID and for_me and not data.get("streaming"):
            self._see_message(data["channel_id"], data["message"])

    def _see_message(self, channel: str, message: Json) -> None:
        if message.get("user") != self._slack.bot.id:
            return
        text = text_of(message)
        if not text or self._shown.get((channel, message["ts"])) == text:
            return
        self._shown[channel, message["ts"]] = text
        self._reacted = True
        self._say(f"[bold green]{escape(self._slack.bot.name)}[/bold green]")
        self._console.print(Markdown(text))
        self._show_buttons(channel, message)

    def _show_buttons(self, channel: str, message: Json) -> None:
        for block in message.get("blocks") or []:
            for element in [*(block.get("elements") or []), block.get("accessory") or {}]:
                if element.get("type") == "button":
                    action = f"{element['action_id']}\n{element.get('value') or ''}"
                    self._buttons.append((channel, message["ts"], action))
                    label = escape(element["text"]["text"])
                    self._say(f"   [reverse] {label} [/reverse]  :press {len(self._buttons)}")

    def _say(self, text: str) -> None:
        self._console.print(text)


def _read_lines() -> "asyncio.Queue[str]":
    """The lines of the standard input, "" at its end.

    A daemon thread reads them: a thread of the event loop would prevent the process from ending
    while it waits for input. Bytes that are no UTF-8 are replaced: an exception would end it.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        while True:
            line = sys.stdin.readline()
            try:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            except RuntimeError:
                return  # the loop is closed
            if not line:
                return

    threading.Thread(target=read, daemon=True).start()
    return lines
