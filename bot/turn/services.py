"""What turns and jobs work with."""

from dataclasses import dataclass

from bot.engines import Engine
from bot.slack.answer.notice import Notices
from bot.slack.answer.reply import Replies
from bot.slack.direct_messages import DirectMessages
from bot.slack.files import Files
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.threads import Threads
from bot.store import Store
from bot.tools.toolbox import Toolbox
from bot.turn.background import Background
from bot.turn.gate import Gate
from bot.turn.limits import Limits
from bot.turn.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that is shared by the turns and jobs of a worker."""

    store: Store
    engine: Engine
    replies: Replies
    notices: Notices
    threads: Threads
    files: Files
    people: People
    direct_messages: DirectMessages
    rights: Rights
    gate: Gate
    limits: Limits
    throttle: Throttle
    background: Background
    toolbox: Toolbox
    stop_grace: float
    """Seconds that a run gets to end after an interrupt, before its turn ends without it."""
    rollover_messages: int
    """How many messages a conversation holds before it is summarized in a new one."""
    answer_messages: int
    """How many messages an answer may take; the whole of a longer one is attached as a file."""
    url: str
    """The workspace's address, `https://example.slack.com/`."""
