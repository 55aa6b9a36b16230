"""The rate of posts per channel: about one message a second, shared by all processes.

Slack counts per channel and sometimes says when to retry. Then all threads of the channel wait, in
all processes, instead of each hitting the limit itself.
https://docs.slack.dev/apis/web-api/rate-limits
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.errors import RateLimited
from bot.models import Thread
from bot.store.pace import Pace
from bot.timing import AnswerTiming

T = TypeVar("T")


async def post_in_turn(
    pace: Pace, thread: Thread, post: Callable[[], Awaitable[T]], timing: AnswerTiming
) -> T:
    """Call `post` as soon as the channel's rate allows.

    It is called again after every pause that Slack asks for: a rate-limited call had no effect.
    Raises RateLimited once the pauses exceed `timing.post_patience`.
    """
    bucket, waited = f"post:{thread.team_id}:{thread.channel_id}", 0.0
    rate, burst = timing.posts_per_second, timing.posts_burst
    while True:
        await pace.wait(bucket, thread.key, rate, burst)
        try:
            return await post()
        except RateLimited as error:
            seconds = error.after or 1.0
            await pace.pause(bucket, seconds, rate, burst)
            waited += seconds
            if waited > timing.post_patience:
                raise
