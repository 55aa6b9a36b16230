"""Posting as fast as a channel takes it: about one message a second, shared by all processes.

Slack counts per channel and sometimes says when to come back; then all threads of the channel wait,
whichever process answers them, instead of each running into the limit by itself.
https://docs.slack.dev/apis/web-api/rate-limits
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.errors import RateLimited
from bot.models import Thread
from bot.store.pace import Pace

T = TypeVar("T")

POSTS_PER_SECOND = 1.0
POSTS_BURST = 4
PATIENCE = 120.0
"""Seconds of pauses that one post sits through before its turn comes back later."""


async def post_in_turn(pace: Pace, thread: Thread, post: Callable[[], Awaitable[T]]) -> T:
    """Call `post` when it is the thread's turn in its channel; again after every pause that Slack
    asks for, since a call that was refused for its rate has done nothing.
    """
    bucket, waited = f"post:{thread.team_id}:{thread.channel_id}", 0.0
    while True:
        await pace.wait(bucket, thread.key, POSTS_PER_SECOND, POSTS_BURST)
        try:
            return await post()
        except RateLimited as error:
            seconds = error.after or 1.0
            await pace.pause(bucket, seconds, POSTS_PER_SECOND, POSTS_BURST)
            waited += seconds
            if waited > PATIENCE:
                raise
