"""An answer that is shown while it is written, and its completion.

It is streamed or posted and edited (`StreamedMessage`, `EditedMessage`). If Slack's rate limits
leave no room, it is not shown before it is complete: completing answers has priority. In the end
Slack holds exactly the complete text.
"""

import asyncio
import time
from collections.abc import Sequence

from slack_sdk.errors import SlackApiError

from bot.errors import Retry, Undeliverable
from bot.models import Card, Json, Update
from bot.slack.answer.alarm import Alarm
from bot.slack.answer.cards import status_of
from bot.slack.answer.edited import EditedMessage
from bot.slack.answer.lazy_event import Stop
from bot.slack.answer.outlet import AnswerFull, GrowingMessage, Outlet
from bot.slack.answer.pages import Pages
from bot.slack.answer.posted import FoundAnswer
from bot.slack.answer.refusals import MessageTooLarge
from bot.slack.answer.stream import LIMIT
from bot.slack.answer.streamed import StreamedMessage
from bot.slack.client import Uncertain, error_code
from bot.slack.markdown.split import LIMIT as WHOLE_LIMIT
from bot.slack.markdown.split import Part
from bot.store import steps as journal
from bot.store.step_values import Draft
from bot.store.steps import CUT
from bot.telemetry.log import log

ANSWERS_NAMED = 100
"""How many of a turn's messages are named in the metadata of its answer."""
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class LiveAnswer:
    """The messages of one answer, from the first words to the last.

    `streams`: whether to try streaming. `opened`: when the reply was opened (monotonic clock). No
    further part is posted once `interrupted` is set, or while it is in doubt.
    """

    def __init__(self, outlet: Outlet, interrupted: Stop, *, streams: bool, opened: float) -> None:
        self.session_ended = False
        self._outlet = outlet
        self._turn, self._chat, self._drafts = outlet.turn, outlet.chat, outlet.drafts
        self._timing = outlet.timing
        self._interrupted = interrupted
        self._due = opened + outlet.timing.short
        self._update = Update("queued")
        self._news = False
        self._at_work = asyncio.Lock()
        self._alarm = Alarm()
        self._edited = EditedMessage(outlet)
        self._streamed = StreamedMessage(outlet) if streams else None
        self._can_grow = True

    def show(self, update: Update) -> None:
        """Set the answer so far, to be shown at the next interval."""
        before, self._update = self._update, update
        if (update.text, update.cards) == (before.text, before.cards):
            return
        self._outlet.cards = update.cards
        self._news = True
        self._outlet.status.say(status_of(update.cards))
        if not self._alarm.is_at_work and not self._has_failed:
            self._plan()

    async def discard_text(self, status: str) -> None:
        """Drop the text so far: another answer takes its place. What is shown of it is edited."""
        async with self._at_work:
            self._update = Update("queued")
            if self._drafts.shown:
                self._leave_stream("run_failed")
            elif self._streamed:
                self._streamed = StreamedMessage(self._outlet)
        self._outlet.status.say(status)

    async def rest(self) -> None:
        """Stop showing; waits for a request in flight. Raises what the work raised."""
        async with self._at_work:
            self._alarm.off()
            if self._alarm.task:
                self._alarm.task.cancel()
        task, self._alarm.task = self._alarm.task, None
        if task:
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def pause(self) -> None:
        """Leave what is shown as it is: the turn comes back later. An open stream is ended.

        A message without a word is taken back, so that the answer appears below the question for
        which the turn pauses.
        """
        await self.rest()
        await self._drafts.recover()
        draft = self._drafts.open
        if draft is None:
            return
        await self._edited.stop(draft, len(self._drafts.shown) - 1)
        if self._streamed and self._streamed.is_empty:
            try:
                await self._chat.delete(draft.ts)
            except SlackApiError as error:
                log.info("draft_not_deleted", error=error_code(error))
            else:
                await self._drafts.drop()

    def abandon(self) -> list[asyncio.Task[None]]:
        """The tasks to cancel when the turn is interrupted."""
        self._alarm.off()
        return [self._alarm.task] if self._alarm.task else []

    @property
    def _has_failed(self) -> bool:
        task = self._alarm.task
        return task is not None and task.done() and (task.cancelled() or bool(task.exception()))

    def _plan(self) -> None:
        """Set the time of the next call, if one will be needed."""
        pause = self._due - time.monotonic()
        patience = self._streamed.patience if self._streamed else None
        if not self._can_grow:
            return
        if self._news:
            self._alarm.set(pause, self._show_news)
        elif patience is not None:
            self._alarm.set(max(pause, patience), self._show_news)

    async def _show_news(self) -> None:
        async with self._at_work:
            self._news = False
            pause = await self._show_more(self._update)
        self._due = time.monotonic() + pause
        self._plan()

    async def _show_more(self, update: Update) -> float:
        """Show what is new; returns the seconds until the next call."""
        if await self._drafts.recover():
            self._streamed = None
        message = self._message()
        try:
            if not await message.show(update):
                self._news = True
        except Retry as error:
            if isinstance(error, Uncertain):
                self._leave_stream(error.reason)
            else:
                await self._outlet.limits.pause(message.allowance, error.after or 1)
                self._news = True
        except Undeliverable as error:
            self._leave_stream(error.reason)
        except SlackApiError as error:
            self._leave_stream(error_code(error))
        except (MessageTooLarge, AnswerFull):
            self._can_grow = False  # what is shown stays; `finish` finds a size that Slack accepts
        return message.pause

    def _message(self) -> GrowingMessage:
        """The way to show the answer now: a message that is not our own stream is edited."""
        streamed = self._streamed
        if streamed is None or (self._drafts.open and not streamed.is_open):
            return self._edited
        refused = self._outlet.refused.knows("stream", self._chat.thread)
        return streamed if streamed.is_open or (streamed.usable and not refused) else self._edited

    def _leave_stream(self, reason: str) -> None:
        """Continue by editing the messages shown so far."""
        log.info(
            "stream_abandoned", thread=self._chat.thread.key, turn=self._turn.id, reason=reason
        )
        self._streamed = None
        self._news = True

    async def finish(
        self, text: str, extras: Sequence[Json] = (), reasoning: Sequence[Card] = ()
    ) -> list[str]:
        """Post the complete answer; returns the `ts` of its messages. Idempotent.

        Raises Undeliverable if Slack will never accept it, Retry if it may later.
        """
        await self.rest()
        await self._drafts.recover()
        self._outlet.reasoning = reasoning
        drafts, (count, start) = self._drafts.shown, self._drafts.kept(text)
        if drafts:  # they are completed without an intent: the answer must be recorded before
            await self._turn.flush()
        pages = Pages(self._turn, text, LIMIT if drafts else WHOLE_LIMIT)
        done = [draft.ts for draft in drafts[:count]]
        self._outlet.status.coming()
        while start < len(text) and not await self._is_cut(len(done)):
            part = len(done)
            piece = await pages.part(part, start)
            is_last = piece.end >= len(text)
            own = extras if is_last else ()
            self._chat.ending = self._ending() if is_last else None
            try:
                if part < len(drafts):
                    done.append(await self._complete(drafts[part], piece, part, own))
                else:
                    done.append(await self._post(piece, part, own))
            except MessageTooLarge:
                if not await pages.shrink(part, piece):
                    raise
                continue
            start = piece.end
            self._outlet.status.shown()
        for part in range(len(done), len(drafts)):
            await self._take_back(drafts[part], part)
        return done

    def _ending(self) -> dict[str, str]:
        conversation = self._turn.conversation
        answers = [message.ts for message in self._turn.claim.messages[:ANSWERS_NAMED]]
        whole = {"whole": "true", "answers": " ".join(answers)}
        if conversation is None:
            return whole
        return {**whole, "conversation": conversation.id, "engine": conversation.engine}

    async def find_whole(self) -> tuple[FoundAnswer, ...]:
        """The complete answers to the messages of this turn that Slack holds."""
        claim = self._turn.claim
        stamps = [message.ts for message in claim.messages]
        return await self._chat.posted.find_whole(stamps, others=not claim.retried)

    async def _is_cut(self, part: int) -> bool:
        """Whether posting was stopped before this part. The first part is always posted."""
        cut = self._turn.recall(CUT)
        if cut is None and part and await self._interrupted.decided():
            cut = part
            await self._turn.note(CUT, cut)
        return cut is not None and part >= cut

    async def _post(self, piece: Part, part: int, extras: Sequence[Json]) -> str:
        step = journal.part(part)
        place = None if self._turn.may_be_done(step) else self._chat.place()

        async def post(again: bool) -> str:
            cards = self._outlet.reasoning_card(part)
            return await self._chat.post(
                piece.text, part, again=again, place=place, cards=cards, extras=extras
            )

        try:
            return await self._turn.once(step, post, rider=place, deferred=True)
        except MessageTooLarge:
            await self._turn.undo(step)
            raise

    async def _complete(self, draft: Draft, piece: Part, part: int, extras: Sequence[Json]) -> str:
        """Replace the content of a message with its part of the complete answer."""
        streamed = self._streamed
        try:
            if streamed and streamed.is_open and streamed.ts == draft.ts:
                if await streamed.finish(piece.text, extras):
                    self.session_ended = True
                    return draft.ts
                draft = Draft(draft.ts, streamed=True, end=piece.end)
            await self._edited.finish(draft, piece.text, part, extras)
        except SlackApiError as error:
            if error_code(error) == "streaming_state_conflict":
                raise Retry("slack_stream_open", after=5, counts=False) from error
            if error_code(error) not in GONE:
                raise
            return await self._post(piece, part, extras)
        return draft.ts

    async def _take_back(self, draft: Draft, part: int) -> None:
        """Delete a draft: the answer is shorter than what was shown."""
        await self._edited.stop(draft, part)
        await self._chat.delete(draft.ts)
