"""Limits how many threads a process answers, across the workers of all its shards."""

from bot.slack.receiving import Receiving
from bot.worker.active import ActiveThreads


class Load:
    """The limits of a process (`BOT_CONCURRENCY`, and how many turns may start at once)."""

    def __init__(self, most: int, most_starting: int, receiving: Receiving | None = None) -> None:
        self.receiving = receiving or Receiving()
        self._most = most
        self._most_starting = most_starting
        self._workers: list[ActiveThreads] = []

    def add(self, active: ActiveThreads) -> None:
        """Count the threads of a worker, until `remove`."""
        self._workers.append(active)

    def remove(self, active: ActiveThreads) -> None:
        """Stop counting them."""
        self._workers = [each for each in self._workers if each is not active]

    @property
    def room(self) -> int:
        """How many more threads one of the workers may claim now. The free slots are divided among
        them, because each waits for as many threads as it asked for.
        """
        free = self._most - sum(len(each) for each in self._workers)
        starting = self._most_starting - sum(each.starting for each in self._workers)
        left = min(free, starting)
        return left if left <= 0 else max(1, left // max(1, len(self._workers)))
