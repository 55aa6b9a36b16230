"""People: `users.info`, cached for a while."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, Retry
from bot.slack.client import error_code, slack_errors
from bot.telemetry.log import log
from bot.texts.access import ADMIN

FRESH_SECONDS = 600.0
FAILED_SECONDS = 30.0
REMEMBERED = 10_000
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Person:
    """A person in Slack: https://docs.slack.dev/reference/objects/user-object.

    `is_guest`: a single-channel or multi-channel guest. `is_outsider`: from another workspace.
    """

    user_id: str
    name: str
    team_id: str = ""
    enterprise_id: str = ""
    is_guest: bool = False
    is_outsider: bool = False
    is_admin: bool = False
    is_bot: bool = False
    is_deactivated: bool = False
    teams: frozenset[str] = frozenset()
    """Workspaces of an Enterprise Grid organization that the person is a member of."""

    def belongs_to(self, home: str) -> bool:
        """Whether `home`, a workspace or an organization, is the person's own."""
        if home in self.teams:
            return True
        if self.is_outsider:
            return False
        return not self.team_id or home in (self.team_id, self.enterprise_id)


class People:
    """The people of a workspace; one for the process. Needs the scope `users:read`.

    `home` is the workspace in which admins are admins: Slack also marks those of others.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        admins: Iterable[str] = (),
        home: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._admins = frozenset(admins)
        self._home = home
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Person | None]] = OrderedDict()
        self._failed: dict[str, Retry] = {}

    async def find(self, user_id: str) -> Person | None:
        """The person; None if Slack cannot be asked now and nothing is cached."""
        until, person = self._known.get(user_id, (0.0, None))
        if self._clock() < until:
            return person
        self._failed.pop(user_id, None)
        try:
            with slack_errors():
                answer = await self._client.users_info(user=user_id)
            person, lasts = parse_person(answer["user"]), FRESH_SECONDS
        except (BotError, SlackApiError) as error:
            code = error_code(error) if isinstance(error, SlackApiError) else str(error)
            log.warning("person_unknown", user=user_id, error=code)
            lasts = FAILED_SECONDS
            if isinstance(error, Retry) and person is None:
                self._failed[user_id] = error
        self._known[user_id] = (self._clock() + lasts, person)
        self._known.move_to_end(user_id)
        if len(self._known) > REMEMBERED:
            oldest, _ = self._known.popitem(last=False)
            self._failed.pop(oldest, None)
        return person

    async def identify(self, user_id: str) -> Person | None:
        """The person; None if Slack refuses to say who it is, or does not know.

        Raises Retry if Slack is unavailable and nothing is cached; the next call asks again.
        """
        if user_id in self._failed:
            self.forget(user_id)
        person = await self.find(user_id)
        if person is None and (error := self._failed.get(user_id)):
            raise error
        return person

    def cached(self, user_id: str) -> Person | None:
        """The newest known profile of the person, however old."""
        return self._known.get(user_id, (0.0, None))[1]

    def forget(self, user_id: str) -> None:
        """Forget the cached person."""
        self._known.pop(user_id, None)
        self._failed.pop(user_id, None)

    async def is_admin(self, user_id: str) -> bool:
        """Whether the person is an admin of this bot (`BOT_ADMINS`) or of the workspace, and
        active."""
        person = await self.find(user_id)
        if user_id in self._admins:
            return person is None or not person.is_deactivated
        if person is None or person.is_deactivated:
            return False
        return person.is_admin and self._is_colleague(person)

    def _is_colleague(self, person: Person) -> bool:
        return person.belongs_to(self._home) if self._home else not person.is_outsider

    async def admin_names(self) -> str:
        """The names of this bot's admins, without pinging them."""
        names = []
        for user_id in sorted(self._admins):
            person = await self.find(user_id)
            if person is None or not person.is_deactivated:
                names.append(person.name if person else user_id)
            if len(names) == MOST_NAMED:
                break
        return " or ".join(names) or ADMIN


def parse_person(user: dict[str, object]) -> Person:
    """Read a user object."""
    found = user.get("enterprise_user")
    grid = found if isinstance(found, dict) else {}
    profile = user.get("profile")
    names = profile if isinstance(profile, dict) else {}
    return Person(
        user_id=str(user["id"]),
        name=str(
            names.get("display_name")
            or names.get("real_name")
            or user.get("real_name")
            or user.get("name")
            or user["id"]
        ),
        team_id=str(user.get("team_id") or ""),
        enterprise_id=str(grid.get("enterprise_id") or ""),
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        is_outsider=bool(user.get("is_stranger")),
        is_admin=bool(user.get("is_admin") or user.get("is_owner")),
        is_bot=bool(user.get("is_bot")),
        is_deactivated=bool(user.get("deleted")),
        teams=frozenset(map(str, grid.get("teams") or ())),
    )
