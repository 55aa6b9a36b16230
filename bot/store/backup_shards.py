"""Backup and restore of all shards, also into another number of shards.

All shards are in one file, one after the other. Restored into as many shards, each line goes back
to its own; otherwise `Placement` says where each value belongs.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bot.store.backup import Copied, by_size
from bot.store.backup_file import Header, KeyLine, read_header, read_shards, writing
from bot.store.placement import Placement
from bot.store.shards import Shards

AT_ONCE = 500
"""Lines that are sorted by shard at one time."""


async def write_backup(shards: Shards, path: Path) -> Copied:
    """Write a new file. Raises UnusableBackup, and StoreUnavailable if a shard does not answer."""
    await shards.need_all()
    at = await shards.home.now()
    with writing(path) as writer:
        writer.header(at, len(shards))
        for store in shards:
            if len(shards) > 1:
                writer.begin_shard(store.number)
            await store.backup.add_to(writer)
    return Copied(at, writer.keys)


async def restore_backup(shards: Shards, path: Path) -> Copied:
    """Write a file's keys into an empty Redis, and mark that the state is an older one.

    Raises UnusableBackup if Redis holds keys of the bot, or if the file is damaged.
    """
    header = read_header(path)
    await shards.need_all()
    for store in shards:
        await store.backup.need_empty()
    copied = Copied(header.at)
    placed = _placed(path, header, shards)
    for some in _batches(placed):
        for number, lines in some.items():
            for batch in by_size(lines):
                await list(shards)[number].backup.put(batch)
    for _, line in read_shards(path):
        copied.keys += not line.more
    for store in shards:
        await store.backup.mark_as_older()
    return copied


def _placed(path: Path, header: Header, shards: Shards) -> Iterator[tuple[int, KeyLine]]:
    if header.shards == len(shards):
        return read_shards(path)
    return Placement(len(shards)).place(lambda: read_shards(path))


def _batches(placed: Iterator[tuple[int, KeyLine]]) -> Iterator[dict[int, list[KeyLine]]]:
    some: defaultdict[int, list[KeyLine]] = defaultdict(list)
    count = 0
    for number, line in placed:
        some[number].append(line)
        count += 1
        if count == AT_ONCE:
            yield some
            some, count = defaultdict(list), 0
    yield some
