"""`python -m tests.chaos --seed N --minutes M`: runs a storm and prints its figures."""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.dependencies import TROUBLES, Trouble, survive_trouble
from tests.chaos.deployment import open_deployment
from tests.chaos.leaving import Leave, leave
from tests.chaos.mutations import Mutations, throw
from tests.chaos.outages import gone_for, survive
from tests.chaos.storm import Plan, Report, Storm
from tests.chaos.verdict import Verdict

RunStorm = Callable[[Path, str, Plan], Coroutine[Any, Any, Report]]


async def storm(directory: Path, engine: str, plan: Plan) -> Report:
    """Run one storm from beginning to end."""
    async with open_deployment(
        directory, engine=engine, seed=plan.seed, BOT_LOG_LEVEL="DEBUG"
    ) as deployment:
        return await Storm(deployment, plan).run()


async def outage(directory: Path, engine: str, seconds: float) -> Verdict:
    """Stop Redis for a while."""
    async with open_deployment(directory, engine=engine) as deployment:
        return await survive(deployment, gone_for(seconds))


async def trouble(directory: Path, engine: str, kind: Trouble, seconds: float) -> Verdict:
    """Let the AI server or Slack fail for a while."""
    async with open_deployment(directory, engine=engine) as deployment:
        return await survive_trouble(deployment, kind, seconds)


async def depart(directory: Path, engine: str, runs: int) -> Leave:
    """Let one worker leave and another one answer."""
    async with open_deployment(directory, engine=engine) as deployment:
        return await leave(deployment, runs)


async def mutations(directory: Path, engine: str, seconds: float, seed: int) -> Mutations:
    """Throw mutated payloads at the bot for a while."""
    async with open_deployment(directory, engine=engine) as deployment:
        return await throw(deployment, seconds, seed)


def main(arguments: Sequence[str] | None = None, storm: RunStorm = storm) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="replays a storm; without it one is drawn")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long at least")
    parser.add_argument("--kills", type=int, default=0, help="how many kills at least")
    parser.add_argument("--threads", type=int, default=12, help="how many people talk")
    parser.add_argument("--engine", choices=["responses", "assistants"], default="responses")
    parser.add_argument("--logs", type=Path, help="where to keep the logs of the processes")
    parser.add_argument(
        "--leave", type=int, metavar="RUNS", help="no storm: SIGTERM with RUNS runs"
    )
    parser.add_argument(
        "--trouble", choices=TROUBLES, help="no storm: a dependency fails for --seconds"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="how long it fails")
    parser.add_argument(
        "--redis-gone", type=float, metavar="SECONDS", help="no storm: Redis is away"
    )
    parser.add_argument(
        "--mutations", action="store_true", help="no storm: mutated payloads for --minutes"
    )
    given = parser.parse_args(arguments)
    seed = random.randrange(1 << 31) if given.seed is None else given.seed
    plan = Plan(seed, given.minutes * 60, given.kills, given.threads)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as directory:
        logs = given.logs or Path(directory)
        logs.mkdir(parents=True, exist_ok=True)
        if given.leave:
            left = asyncio.run(depart(logs, given.engine, given.leave))
            sys.stdout.write(f"{left}\n")
            if broken := left.broken():
                sys.exit("\n".join(["Promises were broken.", *broken]))
            return
        if given.trouble:
            verdict = asyncio.run(trouble(logs, given.engine, given.trouble, given.seconds))
            sys.stdout.write(f"{given.trouble} for {given.seconds:g} s: {verdict}\n")
            sys.exit(not verdict.is_clean)
        if given.mutations:
            thrown = asyncio.run(mutations(logs, given.engine, given.minutes * 60, seed))
            sys.stdout.write(f"seed {seed}: {thrown}\n")
            if broken := thrown.broken():
                sys.exit("\n".join(["Promises were broken.", *broken]))
            return
        if given.redis_gone:
            verdict = asyncio.run(outage(logs, given.engine, given.redis_gone))
            sys.stdout.write(f"Redis gone for {given.redis_gone:g} s: {verdict}\n")
            sys.exit(not verdict.is_clean)
        sys.stdout.write(f"seed {seed}, engine {given.engine}\n")
        sys.stdout.flush()
        again = plan.command(given.engine)
        try:
            report = asyncio.run(storm(logs, given.engine, plan))
        except Exception:
            sys.stderr.write(f"The storm broke off. Again: {again}\n")
            raise
    sys.stdout.write(f"{report}\n")
    if not report.verdict.is_clean:
        sys.exit(f"Promises were broken. Again: {again}")


if __name__ == "__main__":
    main()
