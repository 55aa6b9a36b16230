"""The runs of a turn: after a run that ends with calls, the next one gets their outputs."""

from collections.abc import Mapping
from dataclasses import replace

from bot.calls import FunctionCall, FunctionOutput, HostedCall
from bot.engines import RunRequest
from bot.errors import BotError, RunFailed, StoreUnavailable, Superseded
from bot.models import Run, Update
from bot.store.journal import Turn
from bot.store.step_values import Asked, Hosted
from bot.telemetry.log import log
from bot.texts import tools as texts
from bot.tools.config import ToolsConfig
from bot.turn.calling import LONGEST_ARGUMENTS, Calling
from bot.turn.follow import follow
from bot.turn.reruns import is_repeated, next_run
from bot.turn.rounds_so_far import rounds_of, usage_of_rounds
from bot.turn.run_context import RunContext
from bot.turn.start import start
from bot.turn.story import Ended


async def run_rounds(context: RunContext, run_request: RunRequest) -> Ended:
    """Start and follow runs until one ends without calls, or the turn is interrupted.

    By then every call has its output, even if the last run fails.
    """
    turn, number = context.turn, 0
    while True:
        asked = turn.recall(context.generation.asked(number))
        if asked is None:
            if run_request.may_call != (may := may_call(turn, context.services.toolbox.config)):
                run_request = replace(run_request, may_call=may)
            run_request, step = await next_run(context, run_request, number)
            try:
                run = await start(context, run_request, step)
                update = await follow(context, run, run_request) if run else Update("cancelled")
            except RunFailed as error:
                if await is_repeated(context, run_request, number, step, error):
                    continue
                await _fail(context, run_request, number, error)
                raise
            if update.hosted:
                await _note_hosted(context, update.hosted, number)
            if not run or not update.calls:
                if update.status == "cancelled":
                    await _close(context, run_request)
                return context.story.end(run, update)
            asked = _asked(run, update)
            await turn.note(context.generation.asked(number), asked)
        context.story.add(asked)
        run_request = replace(
            run_request,
            files={},
            asked_by=asked.run,
            asked_after=asked.last_item_id,
            outputs=await _outputs(context, asked, number),
            earlier=(*run_request.earlier, *run_request.outputs),
        )
        number += 1


def may_call(turn: Turn, config: ToolsConfig) -> bool:
    """Whether the next run may end with calls."""
    rounds = list(rounds_of(turn))
    made = sum(len(each.asked.calls) for each in rounds)
    spent = any(called.text == texts.BUDGET_SPENT for each in rounds[-1:] for called in each.called)
    return len(rounds) < config.rounds and made < config.calls and not spent


async def _fail(
    context: RunContext, run_request: RunRequest, number: int, error: RunFailed
) -> None:
    """Complete the round whose run has failed, and the error with the text so far."""
    if error.hosted:
        await _note_hosted(context, error.hosted, number)
    await _close(context, run_request)
    error.text = context.story.whole(Update(error.status, error.text)).text


async def _note_hosted(context: RunContext, calls: tuple[HostedCall, ...], number: int) -> None:
    """Record the calls that the AI server made itself."""
    calling, generation = Calling(context), context.generation
    await context.turn.note(generation.hosted(number), Hosted(calls))
    for index, call in enumerate(calls):
        await calling.audit_hosted(f"{generation.call_key(number, index)}.hosted", call)


async def _close(context: RunContext, run_request: RunRequest) -> None:
    """End a turn whose conversation may contain calls without outputs.

    If the server does not accept them, the thread continues in a new conversation.
    """
    if run_request.asked_by is None:
        return
    services, conversation = context.services, run_request.conversation
    try:
        await services.engine.close_calls(conversation, run_request.asked_by, run_request.outputs)
    except (StoreUnavailable, Superseded):
        raise
    except BotError as error:
        log.warning("calls_not_closed", turn=context.turn.id, error=str(error)[:100])
        await services.store.conversations.abandon(context.turn.claim)


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


async def _outputs(context: RunContext, asked: Asked, number: int) -> tuple[FunctionOutput, ...]:
    """Make the calls of a round, within the limits; returns their outputs for the model."""
    turn, generation, calling = context.turn, context.generation, Calling(context)
    keys = [generation.call_key(number, index) for index in range(len(asked.calls))]
    calls = dict(zip(keys, asked.calls, strict=True))
    allowed = _calls_left(context, calls)
    if not await _has_budget(context):
        await calling.refuse(calls, texts.BUDGET_SPENT)
    await calling.make({key: calls[key] for key in keys[:allowed]})
    await calling.refuse(dict(list(calls.items())[allowed:]), texts.TOO_MANY_CALLS)
    await calling.refuse(calls, texts.STOPPED)  # calls that an interrupt has cut off
    *_, last = rounds_of(turn)
    if turn.recall(generation.run_of(number + 1)):
        return last.outputs  # the model has them
    return await calling.with_unkept(calls, last.outputs)


def _calls_left(context: RunContext, calls: Mapping[str, FunctionCall]) -> int:
    made = sum(len(each.asked.calls) for each in rounds_of(context.turn)) - len(calls)
    return max(0, context.services.toolbox.config.calls - made)


async def _has_budget(context: RunContext) -> bool:
    """Whether the requesters' limits allow another run, including the turn's usage so far."""
    used = usage_of_rounds(context.turn)
    questions = context.request.questions
    return await context.services.limits.may_go_on(context.turn, used, questions)
