"""Runs the jobs that people start outside of threads; results come as direct messages."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from bot.errors import Retry, Undeliverable
from bot.jobs.export import export_conversations
from bot.jobs.forget import (
    BUSY,
    Forgotten,
    forget_conversations,
    forget_dead_letters,
    leave_conversations,
)
from bot.jobs.report import native_charts, person_usage, team_usage
from bot.jobs.results import JobResults
from bot.jobs.series import Series
from bot.models import Answer, Conversation, Message, Thread, decode
from bot.slack.rights import record_refusal
from bot.slack.surfaces.conversation_row import place
from bot.store import Feedback, Store, Turn
from bot.store.hold import record_deletion
from bot.store.jobs import STOP, VOTE, read_job
from bot.store.steps import BUSY_NOTICE, job
from bot.telemetry import audit_log
from bot.telemetry.log import log
from bot.texts import hold
from bot.texts import jobs as texts
from bot.texts.commands import with_prefix
from bot.turn.services import Services

MOST_CHARTS = 2
"""Slack takes no more in a message; the channels are listed in the text."""


async def run_jobs(turn: Turn, services: Services, jobs: Iterable[Message]) -> Answer:
    """Run the jobs, send each result once, and settle."""
    for message in jobs:
        await turn.once(job(message.ts), _doing(turn, services, message))
    await services.store.inbox.settle(turn.claim)
    return Answer("", outcome="job")


def _doing(turn: Turn, services: Services, message: Message) -> Callable[[bool], Awaitable[bool]]:
    name, _ = read_job(message)

    async def do(again: bool) -> bool:
        again = again or turn.claim.retried or name in OF_SWEEPS
        results = JobResults(services.direct_messages, message, again=again)
        try:
            return await _do(turn, services, message, name, results)
        except Undeliverable as error:
            log.warning("job_undeliverable", job=name, reason=error.reason)
            with suppress(Undeliverable):
                await results.send(texts.refused(error.reason), "refused")
            return False

    return do


async def _do(
    turn: Turn, services: Services, message: Message, name: str, results: JobResults
) -> bool:
    """Do a job, if the person may ask for it."""
    refusal = "" if name in ALWAYS else await services.rights.refusal(message)
    if refusal:
        record_refusal(message, refusal)
        await results.send(await services.rights.explain(refusal), "refused")
        return False
    await JOBS[name](turn, services, message, results)
    return True


async def stop_answer(
    turn: Turn, services: Services, message: Message, results: JobResults
) -> None:
    """Stop the answer of a thread. `web` could not find out in time whether the person may."""
    thread = Thread.parse(read_job(message)[1])
    user_id, user_team_id = message.user_id, message.user_team_id
    if not await services.rights.refusal_of(thread, user_id, user_team_id):
        await services.store.inbox.interrupt(thread, "stop", user_id, user_team_id)


async def save_vote(turn: Turn, services: Services, message: Message, results: JobResults) -> None:
    """Save a vote or its note, if the person may use the bot in the thread of the answer."""
    feedback = decode(Feedback, read_job(message)[1])
    thread, rights = feedback.thread, services.rights
    if reason := await rights.refusal_of(thread, message.user_id, message.user_team_id):
        await results.send(await rights.explain(reason), "refused")
        return
    await services.store.feedback.save(feedback)
    log.info("feedback_given", thread=thread.key, turn=feedback.turn_id, vote=feedback.vote)


async def send_chart(turn: Turn, services: Services, message: Message, results: JobResults) -> None:
    """Send the person's usage of this month."""
    days = await person_usage(services.store, message.thread.team_id, message.user_id)
    await _send_charts(results, texts.OWN_CHART, days)


async def send_team_chart(
    turn: Turn, services: Services, message: Message, results: JobResults
) -> None:
    """Send the workspace's usage; for admins."""
    if not await services.people.is_admin(message.user_id):
        return
    usage = await team_usage(services.store, services.people, message.thread.team_id)
    named = zip(usage.channel_ids, usage.channels.rows, strict=True)
    names = [
        texts.channel(rank, place(channel_id), tokens)
        for rank, (channel_id, (_, tokens)) in enumerate(named, 1)
    ]
    comment = "\n".join([texts.TEAM_CHART, *names])
    charts = (usage.days, usage.people, usage.channels)
    await _send_charts(results, comment, *charts)


async def _send_charts(results: JobResults, comment: str, *series: Series) -> None:
    """Send charts that Slack draws; a picture if it does not know them."""
    blocks = native_charts(*series)[:MOST_CHARTS]
    if await results.send_blocks(comment, blocks):
        return
    from bot.jobs.chart import draw_chart  # imports Pillow

    picture = draw_chart(*series)
    await results.send_file("usage", "png", picture, comment)


async def export(turn: Turn, services: Services, message: Message, results: JobResults) -> None:
    """Send the conversations that the person wrote in and can still see in Slack, as a JSON
    file."""
    if await results.has_file("conversations", "json"):
        return  # and it is in the audit log
    store, team_id, user_id = services.store, message.thread.team_id, message.user_id
    recent = await store.conversations.recent(team_id, user_id, limit=None)
    found = await services.rights.visible(user_id, recent, now=True)
    content = await export_conversations(store, found, team_id, user_id, services.url)
    audit_log.record("export", team=team_id, user=user_id, conversations=len(found))
    await results.send_file("conversations", "json", content, texts.EXPORT)


async def reset_all(turn: Turn, services: Services, message: Message, results: JobResults) -> None:
    """Delete the conversations that the person may delete and can still see in Slack."""
    store, user_id = services.store, message.user_id
    recent = await _asked_about(store, message, results)
    found = [
        conversation
        for conversation in await services.rights.visible(user_id, recent, now=True)
        if await services.rights.may_delete(conversation, user_id)
    ]
    is_held = await store.hold.is_on()
    record_deletion(message, "own_conversations", held=is_held)
    if is_held:
        for each in found:
            await store.hold.keep(replace(message, thread=each.thread, kind="reset"))
        await results.send(hold.reset_all(len(found)))
        return
    done = await _forget(turn, services, message, found)
    kept = len(recent) - len(found)
    words = with_prefix(texts.reset(done.count, kept), services.command_prefix)
    await results.send(words)


async def forget_me(turn: Turn, services: Services, message: Message, results: JobResults) -> None:
    """Delete the person's own conversations, their messages in shared ones, their feedback, and
    their id in the usage counts.
    """
    store, team_id, user_id = services.store, message.thread.team_id, message.user_id
    await services.connecting.accounts.disconnect_all(team_id, user_id)
    is_held = await store.hold.is_on()
    record_deletion(message, "person", held=is_held)
    if is_held:
        await store.hold.keep(message)
        await results.send(hold.FORGET_ME)
        return
    own: list[Conversation] = []
    shared: list[Conversation] = []
    for conversation in await _asked_about(store, message, results):
        is_shared = await services.rights.is_shared(conversation, user_id)
        (shared if is_shared else own).append(conversation)
    await leave_conversations(store, user_id, shared, message)
    done = await _forget(turn, services, message, own)
    await forget_dead_letters(store, team_id, user_id)
    await store.feedback.forget(team_id, user_id)
    await store.spending.forget(team_id, user_id)
    words = texts.forgotten(done.count, len(shared), done.unconfirmed)
    await results.send(words)


async def confirm_deletion(
    turn: Turn, services: Services, message: Message, results: JobResults
) -> None:
    """Say that the server has confirmed what it had not confirmed at first."""
    await results.send(texts.CONFIRMED)


async def deletion_failed(
    turn: Turn, services: Services, message: Message, results: JobResults
) -> None:
    """Say that conversations stay on the AI server."""
    count = int(read_job(message)[1])
    await results.send(texts.not_deleted(count))


async def _asked_about(store: Store, job: Message, results: JobResults) -> list[Conversation]:
    """The conversations that a job is about: all of the person, but if the job was done before,
    in a state that Redis has lost, not those that were begun since."""
    recent = await store.conversations.recent(job.thread.team_id, job.user_id, limit=None)
    if not await results.is_posted():
        return recent
    return [each for each in recent if each.created_at < float(job.ts)]


async def _forget(
    turn: Turn, services: Services, message: Message, found: Sequence[Conversation]
) -> Forgotten:
    """Delete conversations. Inform a person whose deletion has to wait for running answers."""

    async def explain(again: bool) -> bool:
        await JobResults(services.direct_messages, message, again=again).send(texts.BUSY, "busy")
        return True

    store, engine = services.store, services.engine
    try:
        return await forget_conversations(turn, store, engine, message.user_id, found)
    except Retry as error:
        waited = time.time() - turn.claim.taken_at
        if error.reason == BUSY and waited >= services.store.circuits.timing.notice_after:
            await turn.once(BUSY_NOTICE, explain)
        raise


OF_SWEEPS = frozenset({"confirm_deletion", "deletion_failed"})
"""Jobs that a sweep asks for again, later, if Redis has lost the first time."""
ALWAYS = OF_SWEEPS | {"forget_me", STOP, VOTE}
"""Jobs for everyone, or that check rights themselves."""
JOBS: Mapping[str, Callable[[Turn, Services, Message, JobResults], Awaitable[None]]] = {
    STOP: stop_answer,
    VOTE: save_vote,
    "chart": send_chart,
    "team_chart": send_team_chart,
    "export": export,
    "reset_all": reset_all,
    "forget_me": forget_me,
    "confirm_deletion": confirm_deletion,
    "deletion_failed": deletion_failed,
}
