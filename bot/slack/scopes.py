"""The scopes that the app asks for: what each is for, and what is missing without it.

https://docs.slack.dev/reference/scopes
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """A bot scope. `why` names Slack's events and methods; `without` is what people notice.

    `minimal`: the smallest app has it. `optional`: the full app works without it, too.
    """

    name: str
    why: str
    without: str
    minimal: bool = False
    optional: bool = False


_SEEING = (
    "people do not find conversations of such channels in lists, and cannot reset or export them"
)

TABLE = (
    Scope(
        "app_mentions:read",
        "the event `app_mention`: messages that mention the bot",
        "the bot answers nothing in channels",
        minimal=True,
    ),
    Scope(
        "assistant:write",
        "the agent view: suggested prompts, the title of a conversation, the session",
        "a direct message has no prompts, and the list of conversations no titles",
    ),
    Scope("channels:read", "`conversations.info`, `users.conversations`: who sees what", _SEEING),
    Scope(
        "channels:history",
        "the event `message.channels`; `conversations.replies`, `conversations.history`",
        "in public channels the bot does not read the thread before a mention, hears no reply "
        "without a mention, follows no edit or deletion, and cannot look for an answer it posted "
        "before a crash",
    ),
    Scope(
        "chat:write",
        "`chat.postMessage`, `chat.startStream`, `assistant.threads.setStatus`: answers",
        "the bot answers nothing",
        minimal=True,
    ),
    Scope(
        "commands", "slash commands, and *Reset conversation* in the menu of a message", "neither"
    ),
    Scope(
        "files:read",
        "the content of attached files; `files.info`",
        "attached files do not reach the model, and the answer says so",
    ),
    Scope(
        "files:write",
        "charts, exports, long code and pictures as files",
        "answers have no files; charts and exports do not arrive",
    ),
    Scope("groups:history", "like `channels:history`, in private channels", "the same, there"),
    Scope("groups:read", "like `channels:read`, for private channels", _SEEING),
    Scope(
        "im:history", "the event `message.im`: direct messages", "the bot answers no direct message"
    ),
    Scope(
        "im:write",
        "`conversations.open`: direct messages that the bot begins",
        "charts, exports and the result of `/forget-me` do not arrive",
    ),
    Scope("mpim:history", "like `channels:history`, in group messages", "the same, there"),
    Scope("mpim:read", "like `channels:read`, for group messages", _SEEING),
    Scope(
        "usergroups:read",
        "`usergroups.list`: the handles of groups that are mentioned",
        "the model sees user groups by their ids",
        optional=True,
    ),
    Scope(
        "users:read",
        "`users.info`: names, guests, people of other workspaces, admins, deactivated accounts",
        "the model sees people by their ids; guests are treated as members; only `BOT_ADMINS` are "
        "admins",
    ),
)
OF_TOOLS = {
    "slack_search": Scope(
        "search:read.public",
        "`assistant.search.context`: the tool `slack_search`. Not in the manifest, because only "
        "internal apps may have it: `bot manifest --search` adds it",
        "the search finds nothing, and the answer says which scope is missing",
        optional=True,
    )
}
"""Scopes that only some of our own tools need, by tool."""
SCOPES = tuple(scope.name for scope in TABLE)
MINIMAL = tuple(scope.name for scope in TABLE if scope.minimal)
MINIMAL_EVENTS = ("app_mention",)
"""The events of the smallest app."""


@dataclass(frozen=True, slots=True)
class MissingScopes:
    """The scopes of the manifest that an app does not have."""

    scopes: tuple[Scope, ...]
    is_meant: bool
    """Whether the app works: it is the smallest one, or lacks optional scopes only."""

    @property
    def consequences(self) -> str:
        """The consequences of the missing scopes, in words."""
        return "; ".join(f"{scope.name}: {scope.without}" for scope in self.scopes)


def find_missing(granted: Collection[str]) -> MissingScopes:
    """Compare the granted scopes with the manifest."""
    missing = tuple(scope for scope in TABLE if scope.name not in granted)
    required = [scope.name for scope in TABLE if not scope.optional and scope.name in granted]
    is_minimal = required == list(MINIMAL)
    return MissingScopes(missing, is_minimal or all(scope.optional for scope in missing))


def missing_for_tools(granted: Collection[str], tools: Collection[str]) -> list[Scope]:
    """The scopes that tools need and an app does not have."""
    return [
        scope for tool, scope in OF_TOOLS.items() if tool in tools and scope.name not in granted
    ]


def render_table() -> str:
    """The scopes as a Markdown table."""
    lines = ["| scope | what it is for | without it | minimal app |", "|---|---|---|---|"]
    for scope in sorted((*TABLE, *OF_TOOLS.values()), key=lambda each: each.name):
        cells = (f"`{scope.name}`", scope.why, scope.without, "yes" if scope.minimal else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
