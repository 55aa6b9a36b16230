"""Counts that decide how many turns a process can hold and how fast it is. No times."""

import asyncio
from pathlib import Path

import bot
from tests.fakes.openai import held
from tests.world import open_world, wait_until

RUNS = 20
FOLDER = Path(bot.__file__).parent


def bot_tasks() -> int:
    """The unfinished tasks that run code of the bot."""
    paths = (Path(task.get_coro().cr_code.co_filename) for task in asyncio.all_tasks())  # type: ignore[union-attr]
    return sum(FOLDER in path.parents for path in paths)


async def test_a_run_that_is_waited_for_is_one_task(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, bot_streaming=False) as world:
        await world.ask("#general", "@bot hello")
        before = bot_tasks()
        world.fake.answer = held("done")
        alice = world.slack.user("alice")
        roots = [await alice.says("#general", f"@bot {number}") for number in range(RUNS)]
        await world.slack.wait_for(lambda: len(world.fake.responses) > RUNS)

        async def are_few() -> bool:
            return bot_tasks() <= before + RUNS

        await wait_until(are_few)
        assert bot_tasks() >= RUNS
        world.fake.finish()
        for root in roots:
            await world.replies("#general", root)
