"""The folder in which `bot try` keeps its state between runs.

It has a marker file. Files are deleted by name, and only in a folder with the marker, so that other
data in a wrong BOT_STATE_DIR is never deleted.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.errors import ConfigError
from bot.store.server import lock

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a write that names no file."""
MARKER = ".threadbot-try"
NOTE = """\
`bot try` keeps its state in this folder. `bot try --fresh` deletes the files that it wrote here,
and nothing else.
"""
WORKSPACE = "slack.json"
ADDRESS = "page.json"
ADDED = "workspaces.json"
FAIL_NEXT_RUN = "fail-next-run"
REDIS = "redis"
LOCK = "lock"
WRITTEN = (
    *(WORKSPACE, f"{WORKSPACE}.new", "slack.new", ADDRESS, FAIL_NEXT_RUN),
    *(ADDED, f"{ADDED}.new"),
    *("echo.db", "echo.db-wal", "echo.db-shm", "echo.db-journal"),
)
"""The files of `bot try` and of the echo engine."""
WRITTEN_BY_REDIS = (
    *("redis.log", "dump.rdb", "temp-*.rdb", "temp-*.aof", "appendonly.aof"),
    *("appendonlydir/appendonly.aof.*", "appendonlydir/temp-*"),
)
"""Without the socket and the lock, which a running server holds."""


@contextmanager
def open_state_dir(directory: Path, *, fresh: bool) -> Iterator[Path]:
    """The folder, locked by this process; with `fresh`, the files of earlier runs are deleted.

    Raises ConfigError if it cannot be used: it holds other files, it cannot be written, or
    another process has it.
    """
    directory = directory.absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _mark(directory)
        with lock(directory):
            if fresh:
                _delete_written(directory)
            yield directory
    except OSError as error:
        is_ours = Path(str(error.filename)).is_relative_to(directory)
        if error.errno not in FULL and not is_ours:
            raise
        problem = f"{error.filename if is_ours else directory} cannot be used: {error.strerror}"
        raise ConfigError("BOT_STATE_DIR", problem) from None


def _mark(directory: Path) -> None:
    """Put the marker into a folder that is empty or was written by an earlier version."""
    if (directory / MARKER).exists():
        return
    known = {*WRITTEN, REDIS, LOCK}
    others = sorted(path.name for path in directory.iterdir() if path.name not in known)
    if others:
        shown = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise ConfigError(
            "BOT_STATE_DIR",
            f"{directory} holds files that `bot try` did not write ({shown}): name an empty folder",
        )
    (directory / MARKER).write_text(NOTE)


def _delete_written(directory: Path) -> None:
    """Delete by name; a link is deleted itself, not its target."""
    for name in WRITTEN:
        _delete(directory / name)
    redis = directory / REDIS
    if redis.is_symlink():
        redis.unlink()
    for pattern in WRITTEN_BY_REDIS:
        for path in redis.glob(pattern):
            if not path.parent.is_symlink():
                _delete(path)


def _delete(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
