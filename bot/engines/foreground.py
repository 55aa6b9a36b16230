"""Runs that are streamed without `background`, for servers that refuse the two together.

Such a run lives as long as its stream: closing the stream stops it, and a lost stream loses it.
"""

from bot.engines.answer import PartialResponse
from bot.engines.items import Item
from bot.engines.streams import LiveStream


class ForegroundRuns:
    """The foreground runs of this process."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[LiveStream, PartialResponse]] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._open

    def add(self, live: LiveStream, partial: PartialResponse) -> None:
        """Remember an open run, under the id of its response."""
        self._open = {key: run for key, run in self._open.items() if not run[0].is_closed}
        self._open[partial.id] = live, partial

    def discard(self, run_id: str) -> None:
        """Forget a run that has ended."""
        self._open.pop(run_id, None)

    def stop(self, run_id: str) -> bool:
        """End a run with the text so far; False if it is not a foreground run."""
        if run_id not in self._open:
            return False
        live, partial = self._open.pop(run_id)
        partial.take_state({"id": run_id, "status": "cancelled"})
        live.stop()
        return True


def is_lost(response: Item | None) -> bool:
    """Whether the server has cancelled a foreground run because its stream was closed."""
    if response is None:
        return False
    return response.get("background") is False and response.get("status") == "cancelled"
