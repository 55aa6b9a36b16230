"""Carries out what people asked for outside of threads; answers come as direct messages."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.errors import Undeliverable
from bot.log import log
from bot.models import Answer, Message
from bot.report import person_chart, team_chart
from bot.slack.letters import Letters
from bot.slack.people import People
from bot.store import Store, Turn


@dataclass(frozen=True, slots=True)
class Office:
    """What errands are carried out with."""

    store: Store
    letters: Letters
    people: People


async def carry_out(turn: Turn, office: Office) -> Answer:
    """Do all errands of the claim, each once, as far as Slack tells; then settle."""
    for message in turn.claim.messages:
        try:
            await turn.once(f"errand:{message.ts}", bool, _doing(turn, office, message))
        except Undeliverable as error:
            log.warning("errand_undeliverable", errand=message.text, reason=error.reason)
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
    await office.letters.send_file(message.user_id, "usage.png", picture, "Your usage this month")


async def send_team_chart(turn: Turn, office: Office, message: Message) -> None:
    """Days, channels and people of the workspace; for admins."""
    if not await office.people.is_admin(message.user_id):
        return
    picture = await team_chart(office.store, office.people, message.thread.team_id)
    await office.letters.send_file(
        message.user_id, "usage.png", picture, "Usage of this workspace this month"
    )


ERRANDS: Mapping[str, Callable[[Turn, Office, Message], Awaitable[None]]] = {
    "chart": send_chart,
    "team_chart": send_team_chart,
}
