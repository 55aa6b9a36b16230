"""The runs of a turn: after a run that ends with calls, the next one gets their outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

from bot.calls import FunctionCall, FunctionOutput, FunctionSpec, HostedCall
from bot.engines import Engine, RunRequest
from bot.errors import BotError, RunFailed, StoreUnavailable, Superseded
from bot.models import MadeFile, Run, Update
from bot.store.journal import Turn
from bot.store.step_values import Asked, Hosted
from bot.store.steps import Generation
from bot.telemetry.log import log
from bot.texts import tools as texts
from bot.tools.toolbox import Offer
from bot.turn.calling import LONGEST_ARGUMENTS, Calling
from bot.turn.reruns import Reruns
from bot.turn.rounds_so_far import rounds_of, usage_of_rounds
from bot.turn.services import Services
from bot.turn.story import Story


@dataclass(frozen=True, slots=True)
class Ended:
    """The last run of a turn (None if the turn was interrupted before it), and all files with their
    runs."""

    run: Run | None
    update: Update
    files: tuple[tuple[Run, MadeFile], ...] = ()


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of one generation of a turn."""

    calling: Calling
    engine: Engine
    generation: Generation
    story: Story
    reruns: Reruns

    async def run(self, run_request: RunRequest) -> Ended:
        """Start and follow runs until one ends without calls, or the turn is interrupted.

        By then every call has its output, even if the last run fails.
        """
        for number in count():
            asked = self._turn.recall(self.generation.asked(number))
            if asked is None:
                if run_request.may_call != (may_call := self._may_call()):
                    run_request = replace(run_request, may_call=may_call)
                ended = await self._run(run_request, number)
                if isinstance(ended, Ended):
                    return ended
                asked = ended
            self.story.add(asked)
            run_request = replace(
                run_request,
                files={},
                asked_by=asked.run,
                asked_after=asked.last_item_id,
                outputs=await self._outputs(asked, number),
                earlier=(*run_request.earlier, *run_request.outputs),
            )
        raise AssertionError("count never ends")

    async def _run(self, run_request: RunRequest, number: int) -> Ended | Asked:
        """Make one run: returns the end of the turn, or the recorded calls of the run."""
        story = self.story
        try:
            run, update = await self.reruns.run(run_request, number)
        except RunFailed as error:
            await self._note_hosted(error.hosted, number)
            await self._close(run_request)
            error.text = story.whole(Update(error.status, error.text)).text
            raise
        await self._note_hosted(update.hosted, number)
        if run and update.calls:
            asked = _asked(run, update)
            await self._turn.note(self.generation.asked(number), asked)
            return asked
        if update.status == "cancelled":
            await self._close(run_request)
        files = tuple((run, file) for file in update.files) if run else ()
        return Ended(run, story.whole(update), (*story.files, *files))

    async def _note_hosted(self, calls: tuple[HostedCall, ...], number: int) -> None:
        """Record the calls that the AI server made itself."""
        if not calls:
            return
        await self._turn.note(self.generation.hosted(number), Hosted(calls))
        for index, call in enumerate(calls):
            key = f"{self.generation.call_key(number, index)}.hosted"
            await self.calling.audit_hosted(key, call)

    async def _outputs(self, asked: Asked, number: int) -> tuple[FunctionOutput, ...]:
        """Make the calls of a round, within the limits; returns their outputs for the model."""
        keys = [self.generation.call_key(number, index) for index in range(len(asked.calls))]
        calls = dict(zip(keys, asked.calls, strict=True))
        allowed = self._calls_left(calls)
        if not await self._has_budget():
            await self.calling.refuse(calls, texts.BUDGET_SPENT)
        await self.calling.make({key: calls[key] for key in keys[:allowed]})
        await self.calling.refuse(dict(list(calls.items())[allowed:]), texts.TOO_MANY_CALLS)
        await self.calling.refuse(calls, texts.STOPPED)  # calls that an interrupt has cut off
        *_, last = rounds_of(self._turn)
        if self._turn.recall(self.generation.run_of(number + 1)):
            return last.outputs  # the model has them
        return await self.calling.with_unkept(calls, last.outputs)

    async def _has_budget(self) -> bool:
        """Whether the requesters' limits allow another run, including the turn's usage so far."""
        request, used = self.calling.request, usage_of_rounds(self._turn)
        return await self._services.limits.may_go_on(self._turn, used, request.questions)

    def _calls_left(self, calls: Mapping[str, FunctionCall]) -> int:
        made = sum(len(each.asked.calls) for each in rounds_of(self._turn)) - len(calls)
        return max(0, self._services.toolbox.config.calls - made)

    def _may_call(self) -> bool:
        config, rounds = self._services.toolbox.config, list(rounds_of(self._turn))
        made = sum(len(each.asked.calls) for each in rounds)
        spent = any(
            called.text == texts.BUDGET_SPENT for each in rounds[-1:] for called in each.called
        )
        return len(rounds) < config.rounds and made < config.calls and not spent

    async def _close(self, run_request: RunRequest) -> None:
        """End a turn whose conversation may contain calls without outputs.

        If the server does not accept them, the thread continues in a new conversation.
        """
        if run_request.asked_by is None:
            return
        try:
            await self.engine.close_calls(
                run_request.conversation, run_request.asked_by, run_request.outputs
            )
        except (StoreUnavailable, Superseded):
            raise
        except BotError as error:
            log.warning("calls_not_closed", turn=self._turn.id, error=str(error)[:100])
            await self._services.store.conversations.abandon(self._turn.claim)

    @property
    def _turn(self) -> Turn:
        return self.calling.turn

    @property
    def _services(self) -> Services:
        return self.calling.services


def _asked(run: Run, update: Update) -> Asked:
    """The record of a run that ended with calls; endless arguments are cut."""
    calls = tuple(
        replace(call, arguments=call.arguments[: LONGEST_ARGUMENTS + 1]) for call in update.calls
    )
    return Asked(
        run,
        calls,
        text=update.text,
        citations=update.citations,
        files=update.files,
        cards=update.cards,
        usage=update.usage,
        last_item_id=update.last_item_id,
    )


def functions_of(offer: Offer) -> tuple[FunctionSpec, ...]:
    """The functions of all channels for the model, in the order of the offer."""
    return tuple(
        FunctionSpec(name, tool.description, tool.parameters) for name, tool in offer.listed.items()
    )


def titles_of(offer: Offer) -> dict[str, str]:
    """The titles of functions on the cards of calls."""
    return {f"Calling {name}": tool.label for name, tool in offer.functions.items()}
