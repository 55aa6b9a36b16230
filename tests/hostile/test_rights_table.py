"""The table of docs/permissions.md as a whole: kinds of people x actions x places, decided by the
functions that every way of an action asks. `test_rights.py` and `test_rights_of_listeners.py` take
each way once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.models import Message, Thread
from bot.settings import Settings
from bot.slack.channels import Channels
from bot.slack.client import open_client
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.store import Store, jobs
from bot.store.channel_settings import ChannelSettings
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.store.builders import conversation, deliver, message, take_one

DOCS = Path(__file__).parents[2] / "docs" / "permissions.md"

MAY_USE = {"starter", "member", "creator", "admin", "operator"}
"""People who may use the bot in most places. The starter began the conversation and asked for the
tool call; an operator is one of `BOT_ADMINS`."""
REFUSED = {"denied", "guest", "outsider", "deactivated", "deactivated admin"}
KINDS = (*sorted(MAY_USE | REFUSED), "named guest")
PLACES = {
    "public": MAY_USE,
    "private": MAY_USE,
    "group message": MAY_USE,
    "direct message": MAY_USE,
    "shared": MAY_USE,
    "closed": {"operator"},
    "listed": {"operator", "named guest"},
    "open": MAY_USE | {"guest", "outsider", "named guest"},
    "nowhere": MAY_USE,
}
"""Who may use the bot in a place. Closed: in `BOT_DENY_CHANNELS`. Listed: an admin has named its
people. Open: an admin lets guests use it. Nowhere: commands and jobs, which have no channel."""


@dataclass(frozen=True)
class Table:
    """The people and places in a workspace."""

    rights: Rights
    people: dict[str, str]
    places: dict[str, Thread]

    async def refusal(self, kind: str, place: str) -> str:
        return await self.rights.refusal_of(self._thread(kind, place), self.people[kind])

    async def asking(self, kind: str, place: str) -> str:
        """The check of the gate, for a message."""
        thread = self._thread(kind, place)
        message = Message(thread, thread.thread_ts, self.people[kind], "hi")
        return await self.rights.refusal(message)

    async def resetting(self, kind: str, place: str) -> str:
        """The conversation belongs to the starter and to another person."""
        return await self.rights.reset_refusal(self._thread(kind, place), self.people[kind])

    async def deciding(self, kind: str, place: str, *, personal: bool = False) -> str:
        """About a call of the starter, where everyone is an approver."""
        return await self.rights.decision_refusal(
            self._thread(kind, place),
            self.people[kind],
            "",
            self.people["starter"],
            personal=personal,
        )

    async def deciding_personally(self, kind: str, place: str) -> str:
        """About a call with the starter's own account."""
        return await self.deciding(kind, place, personal=True)

    def _thread(self, kind: str, place: str) -> Thread:
        if place == "nowhere":
            return jobs.place(self.places["public"].team_id, self.people[kind])
        return self.places[place]


Decide = Callable[[Table, str, str], Awaitable[str]]

OWN_ACCOUNT = "the same, with the account of the person who asked"
OWNERS = {"starter", "creator", "admin", "operator"}
EVERYONE = set(KINDS)
ACTIONS: dict[str, tuple[Decide, set[str]]] = {
    "ask, ask by an edit, *Answer again*": (Table.asking, EVERYONE),
    "stop (word, button, Slack's Stop)": (Table.refusal, EVERYONE),
    "reset (word, button, shortcut, `/reset`)": (Table.resetting, OWNERS),
    "decide about a tool call, answer a tool's question": (Table.deciding, EVERYONE),
    OWN_ACCOUNT: (Table.deciding_personally, {"starter"}),
    "see all arguments of a tool call": (Table.refusal, EVERYONE),
    "👍, 👎 and notes": (Table.refusal, EVERYONE),
    "`/conversations`, search, *Reset all*, *Export*, charts": (Table.refusal, EVERYONE),
    "`/tools`": (Table.refusal, EVERYONE),
}
"""The decision about an action, and which of the people who may use the bot there may do it."""
_RESET, _DECIDE, _OWN = (list(ACTIONS)[at] for at in (2, 3, 4))
IMPOSSIBLE = {
    (_RESET, "direct message"),  # it has one person, and no creator
    *((action, "nowhere") for action in (_RESET, _DECIDE, _OWN)),
}
OPEN_TO_ALL = {"delete their own message", "`/usage`, `/bot-help`", "`/forget-me`"}
"""No right is needed; in `test_rights_of_listeners.py` and the stories."""
OF_ADMINS = {
    "workspace settings (a deployment with many workspaces)",
    "channel settings, figures of the workspace",
}


def add_people(slack: LocalSlack) -> dict[str, str]:
    """One person of each kind."""
    people = {"starter": slack.user("alice").id}
    for kind in KINDS:
        if kind not in people:
            team = {"team_id": "T0ELSEWHERE"} if kind == "outsider" else {}
            people[kind] = slack.add_user(
                kind.replace(" ", ""),
                is_guest="guest" in kind,
                is_admin="admin" in kind,
                deleted="deactivated" in kind,
                **team,
            ).id
    return people


def add_place(slack: LocalSlack, place: str, creator: str) -> Thread:
    """A thread in a place."""
    if place.endswith("message"):
        channel_id = slack.user("alice").dm(*(["bob"] if place.startswith("group") else []))
    else:
        channel_id = slack.add_channel(place, ["alice"], private=place == "private").id
    channel = slack.channel(channel_id)
    channel.is_ext_shared, channel.creator = place == "shared", creator
    number = list(PLACES).index(place)
    return Thread(slack.workspace.team_id, channel_id, f"17000000{number:02}.000100")


async def configure(store: Store, thread: Thread, place: str, people: dict[str, str]) -> None:
    """The settings of the place, and a conversation of the starter and another person."""
    rules = {
        "listed": ChannelSettings(users="people", people=(people["named guest"],)),
        "open": ChannelSettings(users="guests"),
    }.get(place, ChannelSettings())
    rules = replace(rules, approvers=tuple(people.values()))
    where = thread.team_id, thread.channel_id
    await store.channels.save(*where, rules, user_id="U1", after=0)
    await deliver(store, thread.thread_ts, of=thread)
    claim = await take_one(store)
    begun = conversation(thread.channel_id, of=thread)
    other = message("1700000100.000200", of=thread, by="U2")
    await store.conversations.save(claim, replace(begun, user_id=people["starter"], owed=(other,)))


@asynccontextmanager
async def open_table(store: Store) -> AsyncIterator[Table]:
    async with open_workspace() as slack:
        people = add_people(slack)
        places = {
            place: add_place(slack, place, people["creator"])
            for place in PLACES
            if place != "nowhere"
        }
        for place, thread in places.items():
            await configure(store, thread, place, people)
        settings = Settings(
            _env_file=None,
            slack_bot_token=slack.bot_token,
            slack_signing_secret=slack.signing_secret,
            slack_api_url=slack.api_url,
            bot_deny_people=people["denied"],
            bot_deny_channels=places["closed"].channel_id,
            bot_admins=people["operator"],
        )
        async with open_client(settings) as client:
            known = People(client, admins=settings.bot_admins, home=slack.workspace.team_id)
            rights = Rights(store, known, Channels(client, known), settings)
            yield Table(rights, people, places)


async def test_the_whole_table(store: Store) -> None:
    async with open_table(store) as table:
        wrong = [
            (action, kind, place, refusal)
            for action, (decide, some) in ACTIONS.items()
            for place, allowed in PLACES.items()
            for kind in KINDS
            if (action, place) not in IMPOSSIBLE
            if bool(refusal := await decide(table, kind, place)) == (kind in allowed & some)
        ]
    assert wrong == []


def test_every_action_of_the_docs_is_in_the_table() -> None:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    named = {row.split("|")[1].strip() for row in rows[: rows.index("| sender | answered |")]}
    named -= {"action", "sender"}
    assert named == ACTIONS.keys() - {OWN_ACCOUNT} | OPEN_TO_ALL | OF_ADMINS
