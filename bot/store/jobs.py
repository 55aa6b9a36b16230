"""Work that a person asks for outside of any thread; it waits in an inbox like a message.

So it is done once, outlives a crash, and is done by a worker, long after Slack got its answer.
"""

import time
from typing import Literal

from bot.models import Message, Thread
from bot.store.inbox import Inbox

Job = Literal["chart", "team_chart", "export", "reset_all", "forget_me"]

PLACE = "errands"
"""In place of a thread's ts: the jobs of a person are a thread. (The stored name is older.)"""


def place(team_id: str, user_id: str) -> Thread:
    """Where the jobs of a person wait."""
    return Thread(team_id, user_id, PLACE)


async def ask(inbox: Inbox, job: Job, team_id: str, user_id: str, event_id: str) -> None:
    """Put an errand into the person's inbox; the same `event_id` asks once."""
    ts = f"{time.time():.6f}"
    await inbox.deliver(Message(place(team_id, user_id), ts, user_id, job, event_id, kind="errand"))
