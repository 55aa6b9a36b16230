"""`bot backup` and `bot restore`."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

from bot.cli import acts
from bot.settings import Settings
from bot.settings.retention import DAY
from bot.store.backup_shards import restore_backup, write_backup
from bot.store.shards import open_shards

_OURS = re.compile(r"threadbot-\d{8}T\d{6}Z\.gz(\.partial)?")


async def backup(settings: Settings, target: Path, keep_days: int | None = None) -> str:
    """Write a backup to a new file, or into a folder; returns the message for the operator.

    Afterwards backups in the folder that are older than `keep_days` are deleted, unless a legal
    hold is on.
    """
    path = _in_folder(target)
    async with open_shards(settings) as shards:
        copied = await write_backup(shards, path)
        is_held = any([await store.hold.is_on() for store in shards])
    acts.record(settings, "backup", keys=copied.keys)
    done = f"{copied.keys} keys of {_time(copied.at)} are in {path}."
    if keep_days is None:
        return done
    if is_held:
        return f"{done} A legal hold is on: no backup was deleted."
    return f"{done} {delete_old(target, keep_days)} older backups were deleted."


def delete_old(folder: Path, keep_days: int) -> int:
    """Delete backups that are older, and what a killed backup left; returns how many."""
    oldest = _name(time.time() - keep_days * DAY)
    old = [each for each in folder.iterdir() if _OURS.fullmatch(each.name) and each.name < oldest]
    for each in old:
        each.unlink(missing_ok=True)
    return len(old)


def _in_folder(target: Path) -> Path:
    return target / _name(time.time()) if target.is_dir() else target


def _name(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("threadbot-%Y%m%dT%H%M%SZ.gz")


async def restore(settings: Settings, path: Path) -> str:
    """Restore a backup into an empty Redis; returns the message for the operator."""
    async with open_shards(settings) as shards:
        copied = await restore_backup(shards, path)
    acts.record(settings, "restore", keys=copied.keys)
    return (
        f"{copied.keys} keys of {_time(copied.at)} are restored. Start the processes: they look in "
        "Slack before they answer questions that were open then."
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
