"""Asked before a run: whose messages of a turn are answered, and what the others are told.

The decision is made once a turn: it stands in the journal where it is not simply yes.
"""

from dataclasses import replace

from bot.models import Message, RunOptions
from bot.settings import Settings
from bot.slack.people import People
from bot.store import Store, Turn
from bot.store.channel_settings import ChannelSettings
from bot.store.steps import ADMISSION, Admission
from bot.texts.access import refused
from bot.turn.access import refusal
from bot.turn.limits import Budget

TOLD_AGAIN_AFTER = 30 * 86400
"""Seconds until somebody who is refused in a thread hears it a second time."""


class Gate:
    """Decides by the settings, by what Slack tells of people and by what was spent."""

    def __init__(self, store: Store, people: People, budget: Budget, settings: Settings) -> None:
        self._store = store
        self._people = people
        self._budget = budget
        self._settings = settings

    async def admit(self, turn: Turn) -> Admission:
        """Decide about the turn's messages; afterwards its claim holds the admitted ones only.

        Where none is admitted the claim is left as it is, and there is nothing to run.
        """
        known = turn.recall(ADMISSION)
        claim = turn.claim
        channel = claim.channel
        if known is None and claim.intents:
            known = Admission(tuple(message.ts for message in claim.messages))
        admission = known or await self._decide(turn, channel)
        left = tuple(m for m in claim.messages if m.ts in admission.admitted)
        if known is None and (admission.note or len(left) < len(claim.messages)):
            await turn.note(ADMISSION, admission)
        if left:
            turn.claim = replace(claim, messages=left)
        return replace(admission, options=self._options(channel))

    async def hears(self, message: Message) -> bool:
        """Whether what somebody said in between may reach the model: not of whom is refused."""
        thread = message.thread
        channel = await self._store.channels.find(thread.team_id, thread.channel_id)
        return not await self._refusal(message, channel)

    async def _decide(self, turn: Turn, channel: ChannelSettings) -> Admission:
        admitted: list[Message] = []
        refused: dict[str, str] = {}
        for message in turn.claim.messages:
            reason = await self._refusal(message, channel)
            if reason:
                refused[message.user_id] = reason
            else:
                admitted.append(message)
        notes = []
        for user_id, reason in refused.items():
            mark = f"refused:{turn.claim.thread.key}:{user_id}"
            if await self._store.marks.take(mark, turn.id, TOLD_AGAIN_AFTER):
                notes.append(await self._words(reason))
        if admitted and admitted[-1].kind in ("message", "again"):
            verdict = await self._budget.check(admitted[-1], turn.id)
            if verdict.refusal:
                return Admission((), "\n\n".join([*notes, verdict.refusal]), "limit")
            notes += [verdict.warning] if verdict.warning else []
        ts = tuple(message.ts for message in admitted)
        return Admission(ts, "\n\n".join(notes), "access" if refused else "")

    async def _refusal(self, message: Message, channel: ChannelSettings) -> str:
        person = await self._people.find(message.user_id)
        return refusal(message, person, self._settings, channel)

    def _options(self, channel: ChannelSettings) -> RunOptions:
        """A channel's own instructions are added to those of the deployment."""
        instructions = ""
        if channel.instructions:
            instructions = f"{self._settings.bot_instructions}\n\n{channel.instructions}"
        return RunOptions(model=channel.model, instructions=instructions)

    async def _words(self, reason: str) -> str:
        whom = await self._people.whom_to_ask()
        return refused(reason, whom)
