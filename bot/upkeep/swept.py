"""What a sweep has done, in one shard and in all."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Swept:
    """The result of a sweep, or with `dry_run` of one that would run now."""

    archived: int = 0
    deleted: int = 0
    kept: int = 0
    """Orphans that could not be deleted now, or belong to another engine."""
    given_up: int = 0
    """Orphans that stay on the AI server: the key they were made with has been gone for weeks."""
    feedback: int = 0
    """Feedback entries that were deleted."""
    held: bool = False
    """A legal hold is on: nothing more is archived or deleted."""


@dataclass(slots=True)
class SweptShards(Swept):
    """The sums over the shards; held if one of them was."""

    busy: tuple[int, ...] = ()
    """The numbers of those that another process was sweeping."""


def total(all_swept: Sequence[Swept], busy: Sequence[int]) -> SweptShards:
    """The sums over several sweeps."""
    counts = {
        name: sum(getattr(each, name) for each in all_swept)
        for name in Swept.__slots__
        if name != "held"
    }
    held = any(each.held for each in all_swept)
    return SweptShards(**counts, held=held, busy=tuple(busy))
