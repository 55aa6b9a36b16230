"""Faults between Slack and an app. They can be changed at any time."""

import asyncio
import random
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

MethodFaultKind = Literal[
    "rate_limit", "server_error", "drop_before", "drop_after", "hang", "refuse"
]


@dataclass
class MethodFault:
    """One kind of failure for the next `times` calls of a Web API method.

    `method` may name several, separated by spaces; "*" matches any.
    """

    method: str
    kind: MethodFaultKind
    times: int = 1
    retry_after: float = 1
    status: int = 500
    error: str = "internal_error"


@dataclass
class Faults:
    """Set the fields at any time.

    Deliveries: `deliver_twice` sends every event twice, `reverse_twins` sends `app_mention` before
    its `message`, `twin_gap` delays the later of the two by that many seconds,
    `mentions_without_files` omits the files from `app_mention`, and `delay` delays each delivery by
    a random time between two bounds in seconds, which shuffles them. Web API: the methods below;
    several faults of one method happen one after another.
    """

    deliver_twice: bool = False
    reverse_twins: bool = False
    twin_gap: float = 0.0
    mentions_without_files: bool = False
    delay: tuple[float, float] = (0.0, 0.0)
    methods: list[MethodFault] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._cleared = asyncio.Event()

    def rate_limit(self, method: str, times: int = 1, retry_after: float = 1) -> None:
        """429 with `Retry-After` in seconds."""
        self.methods.append(MethodFault(method, "rate_limit", times, retry_after=retry_after))

    def server_error(self, method: str, times: int = 1, status: int = 500) -> None:
        """A 5xx before anything was done."""
        self.methods.append(MethodFault(method, "server_error", times, status=status))

    def drop(self, method: str, times: int = 1, *, after_effect: bool = True) -> None:
        """The connection closes without a response, after (or before) the call took effect."""
        kind: MethodFaultKind = "drop_after" if after_effect else "drop_before"
        self.methods.append(MethodFault(method, kind, times))

    def hang(self, method: str, times: int = 1) -> None:
        """No response, and nothing is done, until the faults are cleared."""
        self.methods.append(MethodFault(method, "hang", times))

    async def wait_until_cleared(self) -> None:
        await self._cleared.wait()

    def refuse(self, method: str, error: str, times: int = 1) -> None:
        """`ok: false` with this error code, such as "channel_not_found"."""
        self.methods.append(MethodFault(method, "refuse", times, error=error))

    def clear(self) -> None:
        self.deliver_twice = self.reverse_twins = self.mentions_without_files = False
        self.twin_gap = 0.0
        self.delay = (0.0, 0.0)
        self.methods.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    def take(self, method: str) -> MethodFault | None:
        """The fault for this call; counts it as used."""
        for fault in self.methods:
            if fault.method == "*" or method in fault.method.split():
                fault.times -= 1
                if fault.times <= 0:
                    self.methods.remove(fault)
                return fault
        return None

    def draw_delay(self) -> float:
        return self._random.uniform(*self.delay) if self.delay[1] else 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def update(self, values: dict[str, Any]) -> None:
        """Set what is given, in the shape of `as_json`; raises TypeError on unknown names."""
        parsed = dict(values)
        if "methods" in parsed:
            parsed["methods"] = [MethodFault(**fault) for fault in parsed["methods"]]
        if "delay" in parsed:
            low, high = parsed["delay"]
            parsed["delay"] = (float(low), float(high))
        known = Faults(**parsed)
        for name in parsed:
            setattr(self, name, getattr(known, name))
