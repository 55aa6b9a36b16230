"""Prepares a run: the messages for the engine, their conversation and files, and the tools."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from bot.calls import FunctionSpec
from bot.engines import RunRequest
from bot.errors import OutOfOrder
from bot.models import Conversation
from bot.slack.answer.reply import Reply
from bot.store import steps
from bot.store.journal import Turn
from bot.store.step_values import EngineInput, Reordered
from bot.store.steps import Generation
from bot.turn.batch import Request
from bot.turn.context import collect_input
from bot.turn.conversation import open_conversation
from bot.turn.files_in import load_files
from bot.turn.interrupt import Interrupt
from bot.turn.rounds_so_far import earlier_outputs
from bot.turn.run_context import RunContext
from bot.turn.services import Services
from bot.turn.story import Story

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


async def prepare(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> tuple[RunContext, RunRequest]:
    """Prepare the first run on a conversation; what is independent, concurrently.

    Raises OutOfOrder where the turn is to begin again.
    """
    generation = Generation(turn.recall(steps.GENERATION) or 0)
    before, is_begun = turn.recall(steps.REORDERED) or Reordered(), turn.is_begun(generation.run)
    is_own = before.attempt == generation.number
    channel_id, off = turn.claim.thread.channel_id, turn.claim.channel.servers_off
    (given, conversation), files, offer = await together(
        converse(turn, services, request, generation, None if is_begun else interrupt, is_own),
        load_files(turn, services, request.questions, services.engine.reads, generation.run),
        services.toolbox.offer(channel_id, off, account_owner(request)),
    )
    if interrupt.late and not is_begun:
        raise OutOfOrder
    run_request = RunRequest(
        conversation,
        given.messages,
        replace(request.options, user_id=given.messages[-1].user_id),
        turn.id,
        files=files,
        functions=tuple(
            FunctionSpec(name, tool.description, tool.offered_parameters)
            for name, tool in offer.listed.items()
        ),
        hosted=offer.hosted,
        withheld=offer.withheld,
        earlier=earlier_outputs(turn, generation) if generation.number else (),
        restarted=before.restarted and is_own,
    )
    story = Story(reply, offer.functions)
    return RunContext(turn, services, request, interrupt, generation, offer, story), run_request


def account_owner(request: Request) -> tuple[str, str] | None:
    """The person whose own accounts a turn may use (workspace and person): its only author."""
    authors = {message.user_id for message in request.messages}
    last = request.last
    return (last.thread.team_id, last.user_id) if authors == {last.user_id} else None


async def together(
    first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], third: Coroutine[Any, Any, C]
) -> tuple[A, B, C]:
    """The results of three coroutines. An error is raised once all are done, so that no step is
    cut off in the middle by the failure of another."""
    a, b, c = (
        asyncio.ensure_future(first),
        asyncio.ensure_future(second),
        asyncio.ensure_future(third),
    )
    await asyncio.gather(a, b, c, return_exceptions=True)
    return a.result(), b.result(), c.result()


async def converse(
    turn: Turn,
    services: Services,
    request: Request,
    generation: Generation,
    interrupt: Interrupt | None,
    is_own: bool,
) -> tuple[EngineInput, Conversation]:
    """The messages for the engine, and the conversation that they belong to.

    `is_own`: the generation uses the thread's own conversation, if there is one. Raises OutOfOrder
    if the `interrupt` asks the turn to begin again.
    """
    given = await collect_input(turn, services, request)
    if interrupt and interrupt.late:
        raise OutOfOrder
    conversation = await open_conversation(turn, services, request, given, generation, is_own)
    if any(message.files for message in request.questions):
        await turn.save()  # loading files may take long
    return given, conversation
