"""The gate: which requests of a turn are answered, and the explanation for refused ones.

The decision is made once per turn. It is recorded in the journal unless all are admitted.
"""

from collections.abc import Sequence
from dataclasses import replace

from bot.dlp import Dlp
from bot.models import Message, RunOptions
from bot.settings import Settings
from bot.slack.rights import Rights, record_refusal
from bot.store import Store, Turn
from bot.store.channel_settings import ChannelSettings
from bot.store.flags import REFUSED, refusal_mark
from bot.store.routing import BACKGROUND
from bot.store.step_values import Admission, Reordered
from bot.store.steps import ADMISSION, REORDERED, retraction
from bot.texts import dlp as dlp_texts
from bot.texts.access import NOT_YOURS
from bot.turn.batch import Batch
from bot.turn.limits import Limits, LimitVerdict

REPEAT_REFUSAL_AFTER = 30 * 86400
REPEAT_NOT_YOURS_AFTER = 60
"""Seconds until the same reason is shown to a person in the same thread again."""
RUNS = ("message", "again")
"""Kinds of requests that start a run."""


class Gate:
    """Decides by people's rights, by what may be sent to the AI server, and by the limits."""

    def __init__(
        self, store: Store, rights: Rights, limits: Limits, settings: Settings, dlp: Dlp
    ) -> None:
        self._store = store
        self._rights = rights
        self._limits = limits
        self._dlp = dlp
        self._settings = settings

    async def admit(self, turn: Turn, batch: Batch) -> Admission:
        """Decide which requests of the batch are answered."""
        claim, options = turn.claim, self._options(turn.claim.channel)
        admission, reordered = turn.recall(ADMISSION), turn.recall(REORDERED)
        if admission is None:
            everything = tuple(message.ts for message in batch.requests)
            deletions = {retraction(command.ts).name for command in batch.retractions}
            is_resumed = bool(claim.intents - deletions) or BACKGROUND.name in claim.steps
            if is_resumed and reordered is None:
                admission = Admission(everything)
            else:
                before = reordered or Reordered()
                admission = await self._decide(turn, batch.requests, claim.channel, before)
                if reordered or admission.note or admission.admitted != everything:
                    await turn.note(ADMISSION, admission)
        return replace(admission, options=options)

    async def _decide(
        self,
        turn: Turn,
        requests: Sequence[Message],
        channel: ChannelSettings,
        before: Reordered,
    ) -> Admission:
        """What was decided `before` the turn began again still holds."""
        admitted: list[Message] = []
        refused: dict[tuple[str, str], None] = {}
        for message in requests:
            known = message.ts in before.admitted
            reason = "" if known else await self._refusal(message, channel)
            if reason:
                refused[message.user_id, reason] = None
                record_refusal(message, reason)
            else:
                admitted.append(message)
        notes = [note for note in [before.note] if note]
        notes += await self._explain(turn, list(refused))
        admitted, protected = await self._without_protected(admitted)
        notes += [dlp_texts.refused(protected)] if protected else []
        reason = "access" if refused else dlp_texts.REFUSED if protected else ""
        if admitted and admitted[-1].kind in RUNS:
            admitted, more = await self._within_limits(turn, admitted, before)
            notes += more
            reason = reason if admitted else "limit"
        return Admission(tuple(message.ts for message in admitted), "\n\n".join(notes), reason)

    async def _within_limits(
        self, turn: Turn, messages: Sequence[Message], before: Reordered
    ) -> tuple[list[Message], Sequence[str]]:
        """The messages of people within the limits, and notes. Who was counted before the turn
        began again is not counted twice."""
        counted = {message.user_id for message in messages if message.ts in before.admitted}
        new = [message for message in messages if message.user_id not in counted]
        verdict = await self._limits.admit(turn.id, new) if new else LimitVerdict(frozenset())
        allowed = verdict.within | counted
        return [message for message in messages if message.user_id in allowed], verdict.notes

    async def _without_protected(self, messages: list[Message]) -> tuple[list[Message], str]:
        """The messages that may be sent to the AI server, and what the others contain."""
        if not self._dlp.is_on:
            return messages, ""
        found = await self._dlp.find([message.text for message in messages])
        kept = [message for message, why in zip(messages, found, strict=True) if not why]
        for message in messages:
            if message not in kept:
                record_refusal(message, dlp_texts.REFUSED)
        return kept, ", ".join(dict.fromkeys(filter(None, found)))

    async def _refusal(self, message: Message, channel: ChannelSettings) -> str:
        refusal = await self._rights.refusal(message, channel)
        if refusal or message.kind != "reset":
            return refusal
        thread, team_id = message.thread, message.user_team_id
        return await self._rights.reset_refusal(thread, message.user_id, team_id)

    async def _explain(self, turn: Turn, refused: Sequence[tuple[str, str]]) -> list[str]:
        notes = []
        for user_id, reason in refused:
            what, seconds = REFUSED, REPEAT_REFUSAL_AFTER
            if reason == NOT_YOURS:
                what, seconds = "not_yours", REPEAT_NOT_YOURS_AFTER
            mark = refusal_mark(turn.claim.thread, user_id, what)
            if await self._store.flags.take(mark, turn.id, seconds):
                notes.append(await self._rights.explain(reason))
        return notes

    def _options(self, channel: ChannelSettings) -> RunOptions:
        """The options of a run; a channel's instructions are added to the deployment's."""
        instructions = ""
        if channel.instructions:
            instructions = f"{self._settings.bot_instructions}\n\n{channel.instructions}"
        return RunOptions(model=channel.model, instructions=instructions)
