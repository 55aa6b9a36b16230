"""The workspaces in which the bot is installed, each with its own client, identity and caches."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from bot.settings import Settings
from bot.slack.channels import Channels
from bot.slack.client import GuardedClient, Identity
from bot.slack.people import People
from bot.store import Store
from bot.store.shards import Shards
from bot.store.workspace_settings import LIMITS, WorkspaceSettings
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
    client: GuardedClient
    identity: Identity
    people: People
    channels: Channels
    settings: Settings
    """The deployment's settings with the admins and limits of the workspace."""
    operators: Settings
    """The deployment's settings alone."""
    defaults: WorkspaceSettings = WorkspaceSettings()
    """The settings that apply to its channels unless they have their own."""
    ai_key: str = field(default="", repr=False)
    """Its own key of the AI server; "": the deployment's."""

    @property
    def is_configurable(self) -> bool:
        """Whether its admins may change its settings: not those of one of many workspaces of an
        organization, and not if the operator's own is the only one."""
        return self.settings.slack_client_id is not None and not self.id.startswith("E")


class Workspaces(Protocol):
    """Finds the installation that an event or a thread belongs to."""

    @property
    def own(self) -> Workspace | None:
        """The workspace of `SLACK_BOT_TOKEN`."""
        ...

    async def find(self, id: str) -> Workspace | None:
        """The workspace, or None if the bot is not installed there. Raises StoreUnavailable."""
        ...


class OneWorkspace:
    """The workspace of `SLACK_BOT_TOKEN`, and no other."""

    def __init__(self, own: Workspace) -> None:
        self._own = own

    @property
    def own(self) -> Workspace:
        """The workspace."""
        return self._own

    async def find(self, id: str) -> Workspace | None:
        """The workspace, whatever the event names: Slack sends us those of our app only."""
        return self._own


def make_workspace(
    client: GuardedClient,
    identity: Identity,
    settings: Settings,
    timing: SlackTiming,
    id: str = "",
    defaults: WorkspaceSettings = WorkspaceSettings(),
    ai_key: str = "",
) -> Workspace:
    """The objects of one workspace; its `id` is its team's unless an organization has it."""
    operators, settings = settings, _with(settings, defaults)
    people = People(client, admins=settings.bot_admins, home=id or identity.team_id)
    channels = Channels(client, people, timing, is_org=id.startswith("E"))
    return Workspace(
        *(id or identity.team_id, client, identity, people, channels, settings, operators),
        defaults=defaults,
        ai_key=ai_key,
    )


def _with(settings: Settings, own: WorkspaceSettings) -> Settings:
    """The deployment's settings with a workspace's admins and limits."""
    limits = {f"bot_{name}": _limit(settings, own, name) for name in LIMITS}
    return settings.model_copy(update={"bot_admins": settings.bot_admins | {*own.admins}, **limits})


def ceiling(operators: Settings, own: WorkspaceSettings, limit: str) -> float | None:
    """A limit as the operator has set it, for the workspace or for all. None: there is none."""
    of_workspace: float | None = getattr(own, limit)
    of_all: float | None = getattr(operators, f"bot_{limit}")
    return of_all if of_workspace is None else of_workspace


def _limit(operators: Settings, own: WorkspaceSettings, name: str) -> float | None:
    """The lower one of the operator's limit and that of the workspace's admins."""
    both = (ceiling(operators, own, name), getattr(own, f"admin_{name}"))
    return min((each for each in both if each is not None), default=None)


class PerWorkspace(Generic[T]):
    """One object per workspace, built when it is first needed.

    It uses the shard of the id under which the workspace is looked up, where that id's threads are:
    one workspace may be found by its own id and by its organization's.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        shards: Shards,
        build: Callable[[Workspace, Store], T],
        most: int = MOST_BUILT,
    ) -> None:
        """`most` are kept."""
        self._workspaces = workspaces
        self._shards = shards
        self._build = build
        self._most = most
        self._built: OrderedDict[tuple[str, int], tuple[Workspace, T]] = OrderedDict()

    async def find(self, id: str) -> T | None:
        """The object of a workspace, or None if the bot is not installed there. Raises
        StoreUnavailable."""
        workspace = await self._workspaces.find(id)
        return None if workspace is None else self.at(workspace, id)

    async def find_workspace(self, id: str) -> Workspace | None:
        """The workspace itself. Raises StoreUnavailable."""
        return await self._workspaces.find(id)

    def at(self, workspace: Workspace, id: str) -> T:
        """The object of a workspace that was found by this id."""
        return self.of(workspace, self._shards.of(id))

    def of(self, workspace: Workspace, store: Store) -> T:
        """The object of a workspace in a shard; a reinstallation replaces it."""
        key = workspace.id, store.number
        known = self._built.get(key)
        if known is None or known[0] is not workspace:
            known = self._built[key] = workspace, self._build(workspace, store)
        self._built.move_to_end(key)
        if len(self._built) > self._most:
            self._built.popitem(last=False)
        return known[1]

    def all(self) -> list[T]:
        """The objects that exist now."""
        return [built for _, built in self._built.values()]
