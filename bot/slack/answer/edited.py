"""A growing answer that is posted and edited: in channels, and if Slack does not stream."""

from collections.abc import Sequence
from typing import Any

from bot.models import Update
from bot.slack.answer.buttons import stop_block
from bot.slack.answer.outlet import Outlet
from bot.slack.answer.rate_limits import EDITS, LAST_EDITS
from bot.slack.answer.stream import LIMIT, stop_quietly
from bot.slack.markdown.render import in_thread
from bot.slack.markdown.split import parts
from bot.store import steps as journal
from bot.store.step_values import Draft


class EditedMessage:
    """The newest message of an answer, edited every few seconds. `GrowingMessage`."""

    allowance = EDITS

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._chat, self._drafts = outlet.chat, outlet.drafts
        self._shown = ""
        """The text of the newest message."""

    @property
    def pause(self) -> float:
        """Seconds between two edits."""
        return self._outlet.timing.edit_every

    async def show(self, update: Update) -> bool:
        """Edit the newest message, or post one."""
        text = await in_thread(self._outlet.visible.of, update.text)
        if self._drafts.open:
            return await self._edit(self._drafts.open, text)
        if update.text.strip():
            await self._post(text)
        return True

    async def finish(self, draft: Draft, text: str, part: int, extras: Sequence[Any]) -> None:
        """Replace the content of the message with this text. Raises MessageTooLarge."""
        await self.stop(draft, part)
        await self.rewrite(draft, text, part, extras)

    async def rewrite(self, draft: Draft, text: str, part: int, extras: Sequence[Any] = ()) -> None:
        """Replace the text of a message that is no open stream."""
        outlet = self._outlet
        cards = outlet.blocks_above(part) if draft.streamed else outlet.reasoning_card(part)
        await self._outlet.limits.wait(EDITS)
        await self._chat.update(draft.ts, text, part, cards=cards, extras=extras)

    async def stop(self, draft: Draft, part: int) -> None:
        """End a stream that an earlier worker may have left open; once only, to save rate limit."""
        step = journal.stopped_stream(draft.ts)
        if draft.streamed and draft.end < 0 and not self._outlet.turn.recall(step):
            await stop_quietly(self._chat, self._outlet.limits, draft.ts, part)
            await self._outlet.turn.note(step, True)

    async def _post(self, text: str) -> None:
        self._outlet.check_room()
        _, start = self._drafts.kept(text)
        pieces = await in_thread(parts, text, LIMIT, start)
        if not pieces or not await self._outlet.limits.grant(EDITS, leave=LAST_EDITS):
            return
        part = len(self._drafts.shown)

        async def post() -> Draft:
            ts = await self._chat.post(pieces[0].text, part, extras=[stop_block()])
            return Draft(ts, streamed=False)

        self._outlet.status.coming()
        await self._drafts.begin(post)
        self._shown = pieces[0].text
        self._outlet.status.shown()

    async def _edit(self, draft: Draft, text: str) -> bool:
        count, start = self._drafts.kept(text)
        part = len(self._drafts.shown) - 1
        pieces = await in_thread(parts, text, LIMIT, start)
        if not pieces or count != part or (pieces[0].text == self._shown and len(pieces) == 1):
            return True
        if not await self._outlet.limits.grant(EDITS, leave=LAST_EDITS):
            return False
        await self.stop(draft, part)
        ends = len(pieces) > 1
        cards = self._outlet.blocks_above(part, at_work=True) if draft.streamed else []
        extras = [] if ends else [stop_block()]
        await self._chat.update(draft.ts, pieces[0].text, part, cards=cards, extras=extras)
        self._shown = pieces[0].text
        if ends:
            await self._drafts.close(text, pieces[0].end)
            self._shown = ""
        return not ends
