"""The rate of posts per channel: about one message a second, shared by all processes.

Slack counts per channel and sometimes says when to retry. Then all threads of the channel wait, in
all processes, instead of each hitting the limit itself.
https://docs.slack.dev/apis/web-api/rate-limits
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.errors import RateLimited
from bot.models import Thread
from bot.store.deferred import Rider
from bot.store.pace import Pace
from bot.timing import AnswerTiming

T = TypeVar("T")


def place_of(pace: Pace, thread: Thread, timing: AnswerTiming) -> Rider:
    """A place for a post, taken in the round trip of its intent."""
    return pace.rider(*_bucket(thread), timing.posts_per_second, timing.posts_burst)


async def post_in_turn(
    pace: Pace,
    thread: Thread,
    post: Callable[[], Awaitable[T]],
    timing: AnswerTiming,
    place: Rider | None = None,
) -> T:
    """Call `post` as soon as the channel's rate allows, in its `place` if it has one.

    It is called again after every pause that Slack asks for: a rate-limited call had no effect.
    Raises RateLimited once the pauses exceed `timing.post_patience`.
    """
    bucket, waited = (*_bucket(thread), timing.posts_per_second, timing.posts_burst), 0.0
    due = place.reply if place else None
    while True:
        seconds = await pace.acquire(*bucket) if due is None else float(due)
        await pace.wait_on(seconds, *bucket)
        due = None
        try:
            return await post()
        except RateLimited as error:
            seconds = error.after or 1.0
            name, _, rate, burst = bucket
            await pace.pause(name, seconds, rate, burst)
            waited += seconds
            if waited > timing.post_patience:
                raise


def _bucket(thread: Thread) -> tuple[str, str]:
    """The bucket of the channel, and who takes a place in it."""
    return f"post:{thread.team_id}:{thread.channel_id}", thread.key
