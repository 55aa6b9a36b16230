"""`python -m tests.fakes.openai --port 0`: the fake as a process; prints its base URL."""

import argparse
import asyncio
import gc
import signal
import sys

from .options import VARIANTS
from .server import open_fake_openai

YOUNG_OBJECTS = 100_000
"""New objects between two garbage collections."""


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options = {"api_key": arguments.api_key}
    async with open_fake_openai(
        variant=arguments.variant, port=arguments.port, seed=arguments.seed, **options
    ) as fake:
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)  # what it remembers grows, and is not garbage
        sys.stdout.write(f"{fake.base_url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.openai", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="openai")
    parser.add_argument("--api-key", default="sk-fake")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
