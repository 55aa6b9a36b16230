"""The time of a workspace: real time that tests can move forward, and the `ts` of messages."""

import time


class Clock:
    """Seconds since the epoch. `advance` moves it without waiting, so expiry can be tested."""

    def __init__(self, start: float | None = None) -> None:
        self._offset = 0.0 if start is None else start - time.time()
        self._last_ts = 0

    def now(self) -> float:
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds

    def next_ts(self) -> str:
        """A Slack timestamp such as "1712345678.000100": unique and strictly increasing."""
        self._last_ts = max(self._last_ts + 1, int(self.now() * 1_000_000))
        return format_ts(self._last_ts)

    def not_before(self, ts: str) -> None:
        """The next `ts` will be greater than this one (after a restore)."""
        self._last_ts = max(self._last_ts, parse_ts(ts))


def format_ts(microseconds: int) -> str:
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


def parse_ts(ts: str) -> int:
    """Microseconds; raises ValueError for anything that is not a Slack timestamp."""
    seconds, dot, fraction = ts.partition(".")
    if not (dot and seconds.isdecimal() and fraction.isdecimal() and len(fraction) == 6):
        raise ValueError(f"not a Slack timestamp: {ts!r}")
    return int(seconds) * 1_000_000 + int(fraction)


def is_ts(value: str) -> bool:
    try:
        parse_ts(value)
    except ValueError:
        return False
    return True
