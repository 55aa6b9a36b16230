"""Carries out what people asked for outside of threads; answers come as direct messages."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from bot.engines import Engine
from bot.errors import Undeliverable
from bot.jobs.export import export_conversations
from bot.jobs.forget import forget_conversations, forget_letters
from bot.jobs.report import person_chart, team_chart
from bot.models import Answer, Message
from bot.slack.direct_messages import Letters
from bot.slack.people import People
from bot.slack.surfaces.conversation_row import place
from bot.store import Store, Turn
from bot.store.steps import job
from bot.telemetry.log import log
from bot.texts import jobs as texts


@dataclass(frozen=True, slots=True)
class Office:
    """What errands are carried out with."""

    store: Store
    engine: Engine
    letters: Letters
    people: People
    url: str
    """The workspace's address, `https://example.slack.com/`."""


async def carry_out(turn: Turn, office: Office) -> Answer:
    """Do all errands of the claim, each once, as far as Slack tells; then settle."""
    for message in turn.claim.messages:
        try:
            await turn.once(job(message.ts), _doing(turn, office, message))
        except Undeliverable as error:
            log.warning("errand_undeliverable", errand=message.text, reason=error.reason)
            with suppress(Undeliverable):
                await office.letters.send(message.user_id, texts.refused(error.reason))
    await office.store.inbox.settle(turn.claim)
    return Answer("", outcome="errand")


def _doing(turn: Turn, office: Office, message: Message) -> Callable[[bool], Awaitable[bool]]:
    async def do(_: bool) -> bool:
        await ERRANDS[message.text](turn, office, message)
        return True

    return do


async def send_chart(turn: Turn, office: Office, message: Message) -> None:
    """The person's own days of this month."""
    picture = await person_chart(office.store, message.thread.team_id, message.user_id)
    await office.letters.send_file(message.user_id, "usage.png", picture, texts.OWN_CHART)


async def send_team_chart(turn: Turn, office: Office, message: Message) -> None:
    """Days, channels and people of the workspace; for admins."""
    if not await office.people.is_admin(message.user_id):
        return
    team_id = message.thread.team_id
    picture, channels = await team_chart(office.store, office.people, team_id)
    names = [texts.channel(rank, place(channel_id)) for rank, channel_id in enumerate(channels, 1)]
    comment = "\n".join([texts.TEAM_CHART, *names])
    await office.letters.send_file(message.user_id, "usage.png", picture, comment)


async def export(turn: Turn, office: Office, message: Message) -> None:
    """The person's own conversations, as a JSON file."""
    team_id, user_id = message.thread.team_id, message.user_id
    content = await export_conversations(office.store, team_id, user_id, office.url)
    await office.letters.send_file(user_id, "conversations.json", content, texts.EXPORT)


async def reset_all(turn: Turn, office: Office, message: Message) -> None:
    """Forget all conversations that the person wrote in."""
    count = await forget_conversations(turn, office.store, office.engine, message.user_id)
    await office.letters.send(message.user_id, texts.reset(count))


async def forget_me(turn: Turn, office: Office, message: Message) -> None:
    """The same, what they thought of answers, and no name in the usage counts any more."""
    count = await forget_conversations(turn, office.store, office.engine, message.user_id)
    team_id, user_id = message.thread.team_id, message.user_id
    await forget_letters(office.store, team_id, user_id)
    await office.store.feedback.forget(team_id, user_id)
    await office.store.spending.forget(team_id, user_id)
    await office.letters.send(message.user_id, texts.forgotten(count))


ERRANDS: Mapping[str, Callable[[Turn, Office, Message], Awaitable[None]]] = {
    "chart": send_chart,
    "team_chart": send_team_chart,
    "export": export,
    "reset_all": reset_all,
    "forget_me": forget_me,
}
