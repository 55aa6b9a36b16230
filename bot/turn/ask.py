"""A question on its way through the engine: conversation -> messages -> run -> answer."""

from dataclasses import replace

from bot.engines import Engine, RunRequest
from bot.errors import NOTHING_SENT, ConversationGone, RunFailed
from bot.models import Answer, Message
from bot.slack.answer.reply import Reply
from bot.store import steps
from bot.store.journal import Turn
from bot.store.steps import Generation
from bot.texts.answers import HERE, apology, stopped
from bot.tools.toolbox import Offer
from bot.turn.batch import Request, account_owner
from bot.turn.calling import Calling
from bot.turn.conversation import converse, start_over
from bot.turn.file_fallback import FileFallback
from bot.turn.files_in import load_files
from bot.turn.files_out import attach, fetch
from bot.turn.interrupt import Interrupt
from bot.turn.reordering import is_restarted
from bot.turn.reruns import Reruns
from bot.turn.rounds import Ended, Rounds, functions_of, titles_of
from bot.turn.rounds_so_far import earlier_outputs
from bot.turn.run import Runner
from bot.turn.services import Services
from bot.turn.story import Story
from bot.turn.together import together

CONVERSATIONS_PER_TURN = 2
"""A conversation that the engine lost is rebuilt once per turn."""


async def ask(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> Answer:
    """Get the engine's answer. A run that fails becomes an answer that says so.

    The usage is that of the last run alone.
    """
    try:
        for _ in range(CONVERSATIONS_PER_TURN):
            try:
                return await _answer(turn, services, request, reply, interrupt)
            except ConversationGone:
                await start_over(turn)
            except RunFailed as error:
                if error.reason != "context_length_exceeded" or turn.recall(steps.OVERFULL):
                    raise
                await turn.note(steps.OVERFULL, True)
                await start_over(turn)
        raise RunFailed("failed", "conversation_gone")
    except RunFailed as error:
        await services.throttle.failed(turn, error)
        return Answer(
            apology(error),
            outcome=error.status,
            reason=error.reason,
            usage=error.usage,
            model=error.model,
        )


async def _answer(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> Answer:
    """Get an answer in the thread's conversation, or in a new one."""
    generation = Generation(turn.recall(steps.GENERATION) or 0)
    run_request, offer = await _prepare(turn, services, request, generation, interrupt)
    engine = FileFallback(services.engine, turn)
    if engine.appends:
        for message in run_request.messages:
            await _append(turn, engine, run_request, message, generation)
    story = Story(reply, titles_of(offer))
    reruns = Reruns(Runner(turn, services, engine, story, interrupt), generation)
    calling = Calling(turn, services, request, offer, interrupt, story.show_card)
    ended = await Rounds(calling, engine, generation, story, reruns).run(run_request)
    return await _finish(turn, services, ended, interrupt)


async def _prepare(
    turn: Turn,
    services: Services,
    request: Request,
    generation: Generation,
    interrupt: Interrupt,
) -> tuple[RunRequest, Offer]:
    """The input of the first run and the tools on offer. Independent parts are prepared
    concurrently.
    """
    channel_id, off = turn.claim.thread.channel_id, turn.claim.channel.servers_off
    (given, conversation), files, offer = await together(
        converse(turn, services, request, generation, interrupt),
        load_files(turn, services, request.questions, services.engine.reads, generation.run),
        services.toolbox.offer(channel_id, off, account_owner(request)),
    )
    if not turn.is_begun(generation.run):
        interrupt.check_order()
    run_request = RunRequest(
        conversation,
        given.messages,
        replace(request.options, user_id=given.messages[-1].user_id),
        turn.id,
        files=files,
        functions=functions_of(offer),
        hosted=offer.hosted,
        withheld=offer.withheld,
        earlier=earlier_outputs(turn, generation) if generation.number else (),
        restarted=is_restarted(turn, generation),
    )
    return run_request, offer


async def _append(
    turn: Turn,
    engine: Engine,
    run_request: RunRequest,
    message: Message,
    generation: Generation,
) -> None:
    async def append(again: bool) -> str:
        offered, again = run_request.files.get(message.ts, ()), again or turn.claim.retried
        return await engine.append(
            run_request.conversation, message, turn_id=turn.id, again=again, files=offered
        )

    step = generation.append(message.ts)
    await turn.once(step, append, undone_by=NOTHING_SENT, deferred=True)


async def _finish(turn: Turn, services: Services, ended: Ended, interrupt: Interrupt) -> Answer:
    """The answer of the last run, with the files of all runs brought to Slack."""
    run, update = ended.run, ended.update
    cancelled = update.status == "cancelled"
    if run is None:
        return Answer(stopped(update.text), outcome="cancelled", reason=interrupt.reason)
    files = await fetch(turn, services.engine, services.files, ended.files)
    text, attached = await attach(turn, services.files, update.text, services.answer_messages)
    files += attached
    text = text if text.strip() or not files else HERE
    return Answer(
        stopped(text) if cancelled else text,
        outcome=update.status,
        reason=interrupt.reason,
        citations=update.citations,
        files=files,
        usage=update.usage,
        last_item_id="" if cancelled else update.last_item_id,
        model=update.model,
        run_id=run.id,
    )
