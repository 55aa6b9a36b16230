"""Detects lost runs: a server that restarts may report a lost run as in progress forever."""

import time
from dataclasses import dataclass, field
from typing import Protocol


class Seen(Protocol):
    """The state of an answer in progress."""

    events: int

    @property
    def status(self) -> str: ...
    @property
    def text(self) -> str: ...


@dataclass(slots=True)
class Watch:
    """The progress of one run.

    Silence alone says nothing: models think for minutes. A run counts as lost if its server has
    failed since it began (`doubtful`) and then, once it answers again, shows no progress for
    `patience` seconds.
    """

    patience: float
    doubtful: bool = False
    _seen: tuple[int, str, int] = (-1, "", 0)
    _since: float = field(default_factory=time.monotonic)

    def see(self, partial: Seen) -> bool:
        """Note the current state of the run; returns whether it has changed."""
        seen = (partial.events, partial.status, len(partial.text))
        if seen == self._seen:
            return False
        self._seen, self._since = seen, time.monotonic()
        return True

    def note_failure(self) -> None:
        """Note that the server broke a connection or was down. Earlier progress no longer counts:
        the patience begins again.
        """
        self.doubtful = True
        self._since = time.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether to give the run up."""
        return self.doubtful and time.monotonic() - self._since >= self.patience
