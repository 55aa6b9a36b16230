"""Asked before a run: whose messages of a turn are answered, and what the others are told.

The decision is made once per turn. It is recorded in the journal unless all are admitted.
"""

from collections.abc import Sequence
from dataclasses import replace

from bot.models import Message, RunOptions
from bot.settings import Settings
from bot.slack.people import People
from bot.store import Store, Turn
from bot.store.channel_settings import ChannelSettings
from bot.store.steps import ADMISSION, Admission
from bot.texts.access import refused
from bot.turn.access import refusal
from bot.turn.limits import Limits

TOLD_AGAIN_AFTER = 30 * 86400
"""Seconds until somebody who is refused in a thread hears it a second time."""


class Gate:
    """Decides by the settings, by what Slack tells of people and by what was spent."""

    def __init__(self, store: Store, people: People, limits: Limits, settings: Settings) -> None:
        self._store = store
        self._people = people
        self._limits = limits
        self._settings = settings

    async def admit(self, turn: Turn, requests: Sequence[Message]) -> Admission:
        """Decide which of the requests are answered; the decision is made once per turn."""
        claim = turn.claim
        admission = turn.recall(ADMISSION)
        if admission is None:
            everything = tuple(message.ts for message in requests)
            if claim.intents:
                admission = Admission(everything)
            else:
                admission = await self._decide(turn, requests, claim.channel)
                if admission.note or admission.admitted != everything:
                    await turn.note(ADMISSION, admission)
        return replace(admission, options=self._options(claim.channel))

    async def hears(self, message: Message) -> bool:
        """Whether what somebody said in between may reach the model: not of whom is refused."""
        thread = message.thread
        channel = await self._store.channels.find(thread.team_id, thread.channel_id)
        return not await self._refusal(message, channel)

    async def _decide(
        self, turn: Turn, requests: Sequence[Message], channel: ChannelSettings
    ) -> Admission:
        admitted: list[Message] = []
        refused: dict[str, str] = {}
        for message in requests:
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
            verdict = await self._limits.check(admitted[-1], turn.id)
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
