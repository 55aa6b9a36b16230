"""Jobs that a person starts outside of threads; a job waits in an inbox like a message.

So it runs once, survives a crash, and runs on a worker after Slack has its acknowledgement.
"""

import time
from typing import Literal

from bot.models import JOB, Message, Thread, encode
from bot.store.feedback import Feedback
from bot.store.inbox import Inbox

Job = Literal[
    "chart",
    "team_chart",
    "export",
    "reset_all",
    "forget_me",
    "confirm_deletion",
    "deletion_failed",
]

STOP = "stop"
"""The job that stops an answer; the key of its thread follows."""
VOTE = "vote"
"""The job that saves feedback, which follows."""
PLACE = "errands"
"""Takes the place of a thread's ts: the jobs of a person form a thread. (The stored name is
older.)"""


def place(team_id: str, user_id: str) -> Thread:
    """The inbox of a person's jobs."""
    return Thread(team_id, user_id, PLACE)


async def ask_stop(inbox: Inbox, thread: Thread, user_id: str, user_team_id: str = "") -> None:
    """Let a worker stop the thread's answer, if it finds that the person may."""
    ts = f"{time.time():.6f}"
    where, text = place(thread.team_id, user_id), f"{STOP} {thread.key}"
    await inbox.deliver(Message(where, ts, user_id, text, user_team_id=user_team_id, kind=JOB))


async def ask_vote(inbox: Inbox, feedback: Feedback, user_team_id: str = "") -> None:
    """Let a worker save the feedback, if it finds that the person may vote."""
    ts, text = f"{time.time():.6f}", f"{VOTE} {encode(feedback)}"
    user_id = feedback.user_id
    where = place(feedback.thread.team_id, user_id)
    await inbox.deliver(Message(where, ts, user_id, text, user_team_id=user_team_id, kind=JOB))


async def ask(
    inbox: Inbox, job: Job, team_id: str, user_id: str, event_id: str, *, about: str = ""
) -> None:
    """Put a job into the person's inbox, once per `event_id`."""
    ts, text = f"{time.time():.6f}", f"{job} {about}".strip()
    await inbox.deliver(Message(place(team_id, user_id), ts, user_id, text, event_id, kind=JOB))
