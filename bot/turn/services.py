"""The services that the turns and jobs of a workspace share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.dlp import Dlp
from bot.engines import Engine
from bot.slack.answer.approval_cards import ApprovalCards
from bot.slack.answer.notice import Notices
from bot.slack.answer.reply import Replies
from bot.slack.direct_messages import DirectMessages
from bot.slack.files import Files
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.source import SlackSource
from bot.slack.threads import Threads
from bot.store import Store
from bot.store.workspace_settings import WorkspaceSettings
from bot.tools.toolbox import Toolbox
from bot.turn.background import BackgroundTasks
from bot.turn.charges import Charges
from bot.turn.connecting import Connecting
from bot.turn.gate import Gate
from bot.turn.limits import Limits
from bot.turn.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the turns and jobs of a workspace share in one worker."""

    store: Store
    engine: Engine
    dlp: Dlp
    replies: Replies
    notices: Notices
    cards: ApprovalCards
    threads: Threads
    files: Files
    source: SlackSource
    people: People
    direct_messages: DirectMessages
    rights: Rights
    gate: Gate
    limits: Limits
    charges: Charges
    throttle: Throttle
    background: BackgroundTasks
    toolbox: Toolbox
    connecting: Connecting
    stop_grace: float
    """Seconds that a run may take to end after an interrupt; then its turn ends without it."""
    rerun_pause: float
    """Seconds before a failed run is repeated; doubled before it is repeated once more."""
    rollover_messages: int
    """Number of messages after which the thread continues in a new conversation with a summary."""
    answer_messages: int
    """Maximum number of messages of an answer; a longer one is attached as a file."""
    command_prefix: str
    """The prefix of the commands' names."""
    defaults: WorkspaceSettings
    """The settings of the workspace, behind those of its channels."""
    url: str
    """The workspace's address, `https://example.slack.com/`."""


FindServices = Callable[[str], Awaitable[Services | None]]
"""Finds the services of a workspace by its id (the first part of a thread's key); None if the bot
is not installed there."""
