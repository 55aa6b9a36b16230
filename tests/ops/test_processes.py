"""`--processes`: several processes that one parent has forked."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.process.priority import NICENESS, lower_priority
from tests.ops.processes import open_process, open_site
from tests.redis_server import run_server
from tests.world import PATIENCE, wait_until


def children(pid: int) -> list[int]:
    """The running children of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split()]


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def ended(pids: list[int]) -> None:
    async def all_ended() -> bool:
        return not any(map(is_running, pids))

    await wait_until(all_ended, PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_forked_processes_answer_survive_a_crash_and_end_together() -> None:
    with run_server() as redis:
        async with (
            open_site(redis.url) as site,
            open_process(site, "run", "--processes", "3") as bot,
        ):
            await bot.said("ready", 3)
            forked = children(bot.process.pid)
            assert len(forked) == 3
            web, *workers = (os.getpriority(os.PRIO_PROCESS, pid) for pid in forked)
            assert web == os.getpriority(os.PRIO_PROCESS, 0)
            assert workers == [min(web + NICENESS, 19)] * 2
            for pid in forked:
                os.kill(pid, signal.SIGKILL)
            await bot.said("process_ended", 3)
            await bot.said("ready", 6)
            alice = site.slack.user("alice")
            root = await alice.says("#general", "@bot hello")
            await site.slack.wait_for(lambda: site.slack.replies("#general", root), PATIENCE)
            forked = children(bot.process.pid)
            code, _ = await bot.end()
            assert code == 0
            assert not any(map(is_running, forked))


def test_a_sandbox_that_forbids_priorities_stops_no_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def nice(by: int) -> None:
        asked.append(by)
        raise PermissionError

    monkeypatch.setattr(os, "nice", nice)
    lower_priority()
    assert asked == [NICENESS]


SCRIPT = r"""
import os, select, sys
from bot.process.supervisor import Supervisor

def wait(lifeline):
    os.write(1, f"{os.getpid()}\n".encode())  # at once: the other child writes to it, too
    select.select([lifeline], [], [])
    return 0

def refuse(lifeline):
    return 78

works = {"wait": wait, "refuse": refuse}
sys.exit(Supervisor([works[name] for name in sys.argv[1:]], (78,)).run())
"""


@contextmanager
def supervised(*works: str) -> Iterator[subprocess.Popen[str]]:
    """A parent with children that do these works."""
    command = [sys.executable, "-c", SCRIPT, *works]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        yield parent


def waiting(parent: "subprocess.Popen[str]") -> int:
    """The pid of the next child that waits."""
    assert parent.stdout is not None
    return int(parent.stdout.readline())


def test_a_child_that_cannot_start_ends_them_all() -> None:
    with supervised("wait", "refuse") as parent:
        assert parent.wait(PATIENCE) == 78


async def test_the_children_leave_when_their_parent_is_killed() -> None:
    with supervised("wait", "wait") as parent:
        pids = [waiting(parent), waiting(parent)]
        parent.kill()
        await ended(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_them_all(number: int) -> None:
    with supervised("wait", "wait") as parent:
        pids = [waiting(parent), waiting(parent)]
        parent.send_signal(number)
        assert parent.wait(PATIENCE) == 0
        await ended(pids)
