"""`bot backup` and `bot restore`."""

from datetime import UTC, datetime
from pathlib import Path

from bot.cli import acts
from bot.settings import Settings
from bot.store.backup_shards import restore_backup, write_backup
from bot.store.shards import open_shards


async def backup(settings: Settings, path: Path) -> str:
    """Write a backup; returns the message for the operator."""
    async with open_shards(settings) as shards:
        copied = await write_backup(shards, path)
    acts.record(settings, "backup", keys=copied.keys)
    return f"{copied.keys} keys of {_time(copied.at)} are in {path}."


async def restore(settings: Settings, path: Path) -> str:
    """Restore a backup into an empty Redis; returns the message for the operator."""
    async with open_shards(settings) as shards:
        copied = await restore_backup(shards, path)
    acts.record(settings, "restore", keys=copied.keys)
    return (
        f"{copied.keys} keys of {_time(copied.at)} are restored. Start the processes: they look in "
        "Slack before they answer what was open then."
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
