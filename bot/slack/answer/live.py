"""An answer that people watch while it is written.

It is streamed where Slack streams, and posted and edited where it does not. Where the workspace's
budget is short it is not shown before it is whole: the ends of answers come first. In the end Slack
holds exactly the text that would have been posted.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.errors import Retry, Undeliverable
from bot.models import Step, Update
from bot.slack.answer.ageing import AgeingAnswer
from bot.slack.answer.buttons import stop_block
from bot.slack.answer.chat import SETTLING, Chat, TooLarge
from bot.slack.answer.drafts import Drafts
from bot.slack.answer.pages import Pages
from bot.slack.answer.rate_limits import APPENDS, EDITS, LAST_APPENDS, LAST_EDITS, STARTS, Budget
from bot.slack.answer.status import Refused, Status
from bot.slack.answer.steps import card_blocks, ended, status_of, working
from bot.slack.answer.stream import LIMIT, OLD, TOO_OLD, Stream, stop_quietly
from bot.slack.client import Uncertain, error_code
from bot.slack.markdown.growing import Append, stable_prefix
from bot.slack.markdown.render import blocks
from bot.slack.markdown.sanitize import neutralise
from bot.slack.markdown.split import LIMIT as WHOLE_LIMIT
from bot.slack.markdown.split import Part, parts
from bot.store import steps as journal
from bot.store.journal import Turn
from bot.store.steps import CARDS, CUT, Draft
from bot.telemetry.log import log

Json = dict[str, Any]

SHORT = 1.0
"""Seconds within which an answer may still be whole: one post then costs less than a stream."""
APPEND_EVERY = 1.0
EDIT_EVERY = 3.0
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class Live:
    """The messages of one answer, from the first words to the last."""

    def __init__(
        self,
        turn: Turn,
        chat: Chat,
        budget: Budget,
        refused: Refused,
        status: Status,
        stop: asyncio.Event,
        *,
        streams: bool,
    ) -> None:
        self.session_ended = False
        self._interrupted = stop
        self._turn = turn
        self._chat = chat
        self._budget = budget
        self._refused = refused
        self._status = status
        self._drafts = Drafts(turn, chat)
        self._began = time.monotonic()
        self._update = Update("queued")
        self._news = asyncio.Event()
        self._at_work = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._growing = AgeingAnswer(LIMIT)
        self._waiting: list[Append] = []
        """What is laid out, and not yet sent."""
        self._stream: Stream | None = None
        self._full = ""
        """The whole text of the message that is about to end."""
        self._streams = streams
        """Whether to try streaming for this answer."""
        self._edited = ""
        self._can_grow = True

    def show(self, update: Update) -> None:
        """The answer so far; it is shown when it is time."""
        self._update = update
        self._news.set()
        self._status.say(status_of(update.steps))
        if self._task is None:
            self._task = asyncio.create_task(self._keep_showing())

    async def rest(self) -> None:
        """Show nothing more; a request that is under way is waited for. Raises what went wrong."""
        if self._task is None:
            return
        async with self._at_work:
            self._task.cancel()
        await asyncio.wait([self._task])
        task, self._task = self._task, None
        if not task.cancelled():
            task.result()

    def abandon(self) -> list[asyncio.Task[None]]:
        """The task to be cancelled when everything is to be left as it is."""
        return [self._task] if self._task else []

    async def _keep_showing(self) -> None:
        await asyncio.sleep(max(0.0, self._began + SHORT - time.monotonic()))
        while self._can_grow:
            await self._wait_for_news()
            async with self._at_work:
                edits = await self._show_more(self._update)
            await asyncio.sleep(EDIT_EVERY if edits else APPEND_EVERY)

    async def _wait_for_news(self) -> None:
        age = self._stream.age if self._stream else None
        try:
            async with asyncio.timeout(None if age is None else max(0.0, TOO_OLD - age)):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    async def _show_more(self, update: Update) -> bool:
        """One step forward; whether it was made by editing."""
        if await self._drafts.recover():
            self._streams = False
        try:
            if self._drafts.open and not self._stream:
                await self._edit(_visible(update.text))
                return True
            if self._streams and not self._refused.knows("stream", self._chat.thread):
                await self._note_steps(update.steps)
                await self._go_on_streaming(update)
                return False
            if update.text.strip():
                await self._post_draft(_visible(update.text))
            return True
        except Uncertain as error:
            self._leave_stream(error.reason)
        except Retry as error:
            await self._budget.pause(APPENDS if self._stream else EDITS, error.after or 1)
            self._news.set()
        except Undeliverable as error:
            self._leave_stream(error.reason)
        except SlackApiError as error:
            self._leave_stream(error_code(error))
        except TooLarge:
            self._can_grow = False  # what is shown stays; `finish` finds the size that Slack takes
        return False

    def _leave_stream(self, reason: str) -> None:
        """What is shown already is edited from now on."""
        log.info("stream_left", thread=self._chat.thread.key, turn=self._turn.id, reason=reason)
        self._streams = False
        self._stream = None
        self._news.set()

    # Streaming

    async def _note_steps(self, steps: Sequence[Step]) -> None:
        """Who edits the message after us has to bring its cards along, and may not know them."""
        if steps and tuple(steps) != self._turn.recall(CARDS):
            await self._turn.note(CARDS, tuple(steps))

    def _cards(self, part: int, *, at_work: bool = False) -> list[Json]:
        """The cards of a streamed message that is edited. The first one has them all."""
        steps = self._update.steps or self._turn.recall(CARDS) or ()
        return card_blocks(steps if at_work else ended(steps)) if part == 0 else []

    async def _go_on_streaming(self, update: Update) -> None:
        text = _visible(update.text)
        self._waiting = _joined([*self._waiting, *self._growing.advance(text)])
        if self._stream and self._is_old(self._stream, text):
            end = self._growing.end_message()
            self._waiting = _joined([*self._waiting, *([end] if end else [])])
        while self._waiting or update.steps:
            append = self._waiting[0] if self._waiting else Append("")
            if not await self._send(append, update.steps):
                self._news.set()
                return
            self._waiting = self._waiting[1:]
            if append.ends:
                await self._end_message(text)
            if not self._waiting:
                return

    def _is_old(self, stream: Stream, text: str) -> bool:
        return stream.age > TOO_OLD or (stream.age > OLD and text.endswith("\n\n"))

    async def _send(self, append: Append, steps: Sequence[Step]) -> bool:
        """Whether it was sent. What ends a message goes out together with its end."""
        if self._stream is None:
            return await self._start(append.text, steps)
        if append.ends:
            self._full = self._stream.text + append.text
            return True
        if not append.text and not self._stream.is_news(steps):
            return True
        if not await self._budget.grant(APPENDS, leave=LAST_APPENDS):
            return False
        await self._stream.append(append.text, steps)
        return True

    async def _start(self, text: str, steps: Sequence[Step]) -> bool:
        at_work = working(steps) if self._drafts.shown else steps
        if not text and not at_work:
            return True
        if not await self._budget.grant(STARTS):
            return False
        stream = Stream(self._chat, self._budget, len(self._drafts.shown))

        async def start() -> Draft:
            try:
                await stream.start(text, at_work)
            except Uncertain:
                await asyncio.sleep(SETTLING)
                known = [draft.ts for draft in self._drafts.shown]
                self._streams = False
                return Draft(await self._chat.find_orphan(known) or "")
            except Retry as error:
                await self._budget.pause(STARTS, error.after or 1)
            except (SlackApiError, Undeliverable) as error:
                self._refuse(error)
            return Draft(stream.ts)

        self._status.coming()
        draft = await self._drafts.begin(start)
        if stream.ts and draft.ts == stream.ts:
            self._stream, self._full = stream, text
            self._status.shown()
        return self._stream is not None

    def _refuse(self, error: SlackApiError | Undeliverable) -> None:
        code = error.reason if isinstance(error, Undeliverable) else error_code(error)
        self._refused.note("stream", code, self._chat.thread)
        self._streams = False
        log.info("stream_refused", thread=self._chat.thread.key, error=code)

    async def _end_message(self, text: str) -> None:
        """The message is full; the next append begins a new one."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        part = len(self._drafts.shown) - 1
        ended = await stream.end(self._full, steps=working(self._update.steps))
        if not ended:
            await self._rewrite(stream.ts, self._full, part, self._cards(part))
        await self._drafts.close(text, self._growing.starts[len(self._drafts.shown)])

    # Editing

    async def _post_draft(self, text: str) -> None:
        _, start = self._drafts.kept(text)
        pieces = parts(text, LIMIT, start)
        if not pieces or not await self._budget.grant(EDITS, leave=LAST_EDITS):
            return
        part = len(self._drafts.shown)

        async def post() -> Draft:
            ts = await self._chat.post(pieces[0].text, part, extras=[stop_block()])
            return Draft(ts, streamed=False)

        self._status.coming()
        await self._drafts.begin(post)
        self._edited = pieces[0].text
        self._status.shown()

    async def _edit(self, text: str) -> None:
        draft, (count, start) = self._drafts.open, self._drafts.kept(text)
        part = len(self._drafts.shown) - 1
        pieces = parts(text, LIMIT, start)
        if not draft or not pieces or count != part:
            return
        if pieces[0].text == self._edited and len(pieces) == 1:
            return
        if not await self._budget.grant(EDITS, leave=LAST_EDITS):
            self._news.set()
            return
        if draft.streamed:
            await self._stop(draft, part)
        ends = len(pieces) > 1
        cards = self._cards(part, at_work=True) if draft.streamed else []
        extras = [] if ends else [stop_block()]
        await self._chat.update(draft.ts, pieces[0].text, part, cards=cards, extras=extras)
        self._edited = pieces[0].text
        if ends:
            await self._drafts.close(text, pieces[0].end)
            self._edited = ""
            self._news.set()

    # The end

    async def finish(self, text: str, extras: Sequence[Json] = ()) -> list[str]:
        """Have all of the answer in Slack; returns the `ts` of its messages.

        Raises Undeliverable where Slack will never take it, Retry where it may later.
        """
        await self.rest()
        await self._drafts.recover()
        drafts, (count, start) = self._drafts.shown, self._drafts.kept(text)
        pages = Pages(self._turn, text, LIMIT if drafts else WHOLE_LIMIT)
        done = [draft.ts for draft in drafts[:count]]
        self._status.coming()
        while start < len(text) and not await self._is_cut(len(done)):
            part, piece = len(done), pages.part(len(done), start)
            own = extras if piece.end >= len(text) else ()
            try:
                if part < len(drafts):
                    done.append(await self._complete(drafts[part], piece, part, own))
                else:
                    done.append(await self._post(piece, part, own))
            except TooLarge:
                if not await pages.shrink(part, piece):
                    raise
                continue
            start = piece.end
            self._status.shown()
        for part in range(len(done), len(drafts)):
            await self._take_back(drafts[part], part)
        return done

    async def _is_cut(self, part: int) -> bool:
        """Whether the posting was stopped before this part. The first one is always posted."""
        cut = self._turn.recall(CUT)
        if cut is None and part and self._interrupted.is_set():
            cut = part
            await self._turn.note(CUT, cut)
        return cut is not None and part >= cut

    async def _post(self, piece: Part, part: int, extras: Sequence[Json]) -> str:
        async def post(again: bool) -> str:
            return await self._chat.post(piece.text, part, again=again, extras=extras)

        try:
            return await self._turn.once(journal.part(part), post)
        except TooLarge:
            await self._turn.undo(journal.part(part))
            raise

    async def _complete(self, draft: Draft, piece: Part, part: int, extras: Sequence[Json]) -> str:
        """Have a message hold its share of the whole answer, whatever is in it by now."""
        stream, words = self._stream, str(blocks(piece.text)[0]["text"])
        try:
            if stream and stream.ts == draft.ts:
                self._stream = None
                ended = await stream.end(words, extras=extras, last=True, steps=self._update.steps)
                self.session_ended = ended
                if ended:
                    return draft.ts
            elif draft.streamed and draft.end < 0:
                await self._stop(draft, part)
            cards = self._cards(part) if draft.streamed else []
            await self._rewrite(draft.ts, piece.text, part, cards, extras)
        except SlackApiError as error:
            if error_code(error) == "streaming_state_conflict":
                raise Retry("slack_stream_open", after=5, counts=False) from error
            if error_code(error) not in GONE:
                raise
            return await self._post(piece, part, extras)
        return draft.ts

    async def _rewrite(
        self, ts: str, text: str, part: int, cards: Sequence[Json], extras: Sequence[Json] = ()
    ) -> None:
        await self._budget.wait(EDITS)
        await self._chat.update(ts, text, part, cards=cards, extras=extras)

    async def _take_back(self, draft: Draft, part: int) -> None:
        """The answer became shorter than what was shown of it."""
        if draft.streamed and draft.end < 0:
            await self._stop(draft, part)
        await self._chat.delete(draft.ts)

    async def _stop(self, draft: Draft, part: int) -> None:
        """End a stream that an earlier worker may have left open; once, since stops are scarce."""
        step = journal.stopped_stream(draft.ts)
        if not self._turn.recall(step):
            await stop_quietly(self._chat, self._budget, draft.ts, part)
            await self._turn.note(step, True)


def _visible(text: str) -> str:
    return neutralise(text[: stable_prefix(text)])


def _joined(appends: Sequence[Append]) -> list[Append]:
    """The same text in as few requests as there are messages."""
    joined: list[Append] = []
    for append in appends:
        if joined and not joined[-1].ends:
            before = joined.pop()
            append = Append(before.text + append.text, append.ends)
        joined.append(append)
    return joined
