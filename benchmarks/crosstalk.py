"""`python -m benchmarks.crosstalk`: workspaces with the same ids, and what crossed between them.

Ends with 1 if anything did. Everything but Redis is in this process.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from tests.crosstalk import Talk, talk
from tests.deployment import open_deployment
from tests.redis_server import run_server


async def run(
    messages: int, workspaces: int, at_once: int, *, socket_mode: bool, shards: int
) -> Talk:
    """The result of a run with its own Redis."""
    teams = tuple(f"T{number}" for number in range(1, workspaces + 1))
    with run_server() as server, tempfile.TemporaryDirectory() as directory:
        async with open_deployment(
            *(server.url, Path(directory)),
            teams=teams,
            socket_mode=socket_mode,
            bot_shards=shards,
        ) as deployment:
            await deployment.install(*teams)
            return await talk(deployment, teams, messages, at_once)


def main() -> None:
    """Run it, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crosstalk", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--workspaces", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=8, help="dialogues in each workspace")
    parser.add_argument("--socket-mode", action="store_true", help="events over one socket")
    parser.add_argument("--shards", type=int, default=1, help="the value of BOT_SHARDS")
    given = parser.parse_args()
    logging.disable(logging.WARNING)  # deliveries that a busy machine acknowledged too late
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = asyncio.run(
        run(
            *(given.messages, given.workspaces, given.at_once),
            socket_mode=given.socket_mode,
            shards=given.shards,
        )
    )
    for line in found.crossed[:20]:
        print(line)
    rate = found.messages / found.seconds
    print(
        f"{found.messages:,} messages in {given.workspaces} workspaces, {rate:.0f} a second: "
        f"{found.answers.total():,} answers, {len(found.crossed)} crossed"
    )
    sys.exit(1 if found.crossed else 0)


if __name__ == "__main__":
    main()
