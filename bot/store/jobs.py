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
    person = thread.team_id, user_id, user_team_id
    await _deliver(inbox, f"{STOP} {thread.key}", *person)


async def ask_vote(inbox: Inbox, feedback: Feedback, user_team_id: str = "") -> None:
    """Let a worker save the feedback, if it finds that the person may vote."""
    person = feedback.thread.team_id, feedback.user_id, user_team_id
    await _deliver(inbox, f"{VOTE} {encode(feedback)}", *person)


async def ask(
    inbox: Inbox, job: Job, team_id: str, user_id: str, event_id: str, *, about: str = ""
) -> None:
    """Put a job into the person's inbox, once per `event_id`."""
    await _deliver(inbox, f"{job} {about}".strip(), team_id, user_id, event_id=event_id)


def read_job(message: Message) -> tuple[str, str]:
    """The name of the job that a message asks for, and what it is about."""
    name, _, about = message.text.partition(" ")
    return name, about


async def _deliver(
    inbox: Inbox, text: str, team_id: str, user_id: str, user_team_id: str = "", event_id: str = ""
) -> None:
    where, ts = place(team_id, user_id), f"{time.time():.6f}"
    await inbox.deliver(
        Message(where, ts, user_id, text, event_id, user_team_id=user_team_id, kind=JOB)
    )
