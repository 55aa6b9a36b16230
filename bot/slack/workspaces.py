"""The workspaces in which the bot is installed, each with its own client, identity and caches."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bot.settings import Settings
from bot.slack.channels import Channels
from bot.slack.client import Identity, SlackClient, guard_client
from bot.slack.people import People
from bot.store import Circuits
from bot.timing import SlackTiming

T = TypeVar("T")

MOST_BUILT = 1000
"""Workspaces whose objects one process keeps; those of idle ones are built again."""


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """One installation of the bot: in a workspace (`T…`), or in a whole organization (`E…`).

    `id` is the first part of the keys of its threads.
    """

    id: str
    client: SlackClient
    identity: Identity
    people: People
    channels: Channels
    settings: Settings
    """The deployment's settings with those of the workspace in front."""


class Workspaces(Protocol):
    """Finds the installation that an event or a thread belongs to."""

    async def find(self, id: str) -> Workspace | None:
        """The workspace, or None if the bot is not installed there. Raises StoreUnavailable."""
        ...


class OneWorkspace:
    """The workspace of `SLACK_BOT_TOKEN`, and no other."""

    def __init__(self, own: Workspace) -> None:
        self.own = own

    async def find(self, id: str) -> Workspace | None:
        """The workspace, whatever the event names: Slack sends us those of our app only."""
        return self.own


def make_workspace(
    client: SlackClient,
    identity: Identity,
    settings: Settings,
    circuits: Circuits,
    timing: SlackTiming,
    access: str = "slack:token",
) -> Workspace:
    """The objects of one workspace. `access` is the name of the circuit of its token."""
    guarded = guard_client(client, circuits, access)
    people = People(guarded, admins=settings.bot_admins, home=identity.team_id)
    channels = Channels(guarded, people, timing)
    return Workspace(identity.team_id, guarded, identity, people, channels, settings)


class PerWorkspace(Generic[T]):
    """Something that each workspace has one of, built when it is first needed."""

    def __init__(self, workspaces: Workspaces, build: Callable[[Workspace], T]) -> None:
        self._workspaces = workspaces
        self._build = build
        self._built: OrderedDict[str, tuple[Workspace, T]] = OrderedDict()

    async def find(self, id: str) -> T | None:
        """That of a workspace, or None if the bot is not installed there. Raises
        StoreUnavailable."""
        workspace = await self._workspaces.find(id)
        return None if workspace is None else self.of(workspace)

    def of(self, workspace: Workspace) -> T:
        """That of a workspace; after a reinstallation it is another one."""
        known = self._built.get(workspace.id)
        if known is None or known[0] is not workspace:
            known = self._built[workspace.id] = workspace, self._build(workspace)
        self._built.move_to_end(workspace.id)
        if len(self._built) > MOST_BUILT:
            self._built.popitem(last=False)
        return known[1]

    def all(self) -> list[T]:
        """Those that are built now."""
        return [built for _, built in self._built.values()]
