"""Journal of the messages that were started before the answer was complete.

A worker that resumes the turn finishes these messages instead of starting new ones.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.slack.answer.chat import Chat
from bot.store.journal import Turn
from bot.store.step_values import Draft
from bot.store.steps import draft as draft_step


class Drafts:
    """The drafts of one turn, in order."""

    def __init__(self, turn: Turn, chat: Chat) -> None:
        self._turn = turn
        self._chat = chat
        self._all: list[Draft] = []
        self._recovered = False

    @property
    def shown(self) -> list[Draft]:
        """The drafts that are in Slack; the index of each is the number of its part."""
        return [draft for draft in self._all if draft.ts]

    @property
    def open(self) -> Draft | None:
        """The last one, if more text may go into it."""
        shown = self.shown
        return shown[-1] if shown and shown[-1].end < 0 else None

    async def recover(self) -> bool:
        """Find the drafts of earlier workers, even one whose `ts` was never recorded.

        Returns whether there are any; only the first call looks.
        """
        if self._recovered:
            return False
        self._recovered = True
        while (draft := await self._recover_next()) is not None:
            self._all.append(draft)
        return bool(self.shown)

    async def _recover_next(self) -> Draft | None:
        step = draft_step(len(self._all))
        draft = self._turn.recall(step)
        if draft is not None:
            return draft
        if self._turn.is_begun(step):
            return await self._turn.once(step, self._find)
        if self._turn.claim.maybe_done and (draft := await self._find(True)).ts:
            await self._turn.note(step, draft)
            return draft
        return None

    async def _find(self, _: bool) -> Draft:
        found = await self._chat.posted.find(len(self.shown))
        if found:
            return Draft(found, streamed=False)
        known = [draft.ts for draft in self.shown]
        return Draft(await self._chat.posted.find_orphan(known) or "")

    async def begin(self, work: Callable[[], Awaitable[Draft]]) -> Draft:
        """Start another draft. The intent is recorded first, the `ts` as soon as it is known."""

        async def attempt(again: bool) -> Draft:
            found = await self._find(again) if again else None
            return found if found and found.ts else await work()

        draft = await self._turn.once(draft_step(len(self._all)), attempt)
        self._all.append(draft)
        return draft

    async def drop(self) -> None:
        """Forget the last draft, which was deleted."""
        number = max(n for n, draft in enumerate(self._all) if draft.ts)
        await self._turn.note(draft_step(number), Draft(""))
        self._all[number] = Draft("")

    async def close(self, text: str, end: int) -> None:
        """Close the last draft: it ends at this offset of the text."""
        number = max(n for n, draft in enumerate(self._all) if draft.ts)
        closed = replace(self._all[number], end=end, mark=mark(text[:end]))
        await self._turn.note(draft_step(number), closed)
        self._all[number] = closed

    def kept(self, text: str) -> tuple[int, int]:
        """The number of leading drafts that match this text, and the offset where the rest
        starts."""
        count = position = 0
        for draft in self.shown:
            if draft.end < 0 or mark(text[: draft.end]) != draft.mark:
                break
            count, position = count + 1, draft.end
        return count, position


def mark(text: str) -> str:
    """A short digest that identifies a text."""
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
