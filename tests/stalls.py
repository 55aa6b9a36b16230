"""Stalls of the event loop, as on a machine with too much to do: `pytest -p tests.stalls`.

A test that passes alone and fails with them depends on time. They cost time, but no CPU.
"""

import random
import time
from asyncio import SelectorEventLoop
from typing import Any

SHARE, LONGEST = 0.005, 0.4
"""How many turns of the loop stall, and for how many seconds at most."""

_run_once: Any = SelectorEventLoop._run_once  # type: ignore[attr-defined]  # asyncio's own


def _run_once_and_stall(loop: Any) -> None:
    _run_once(loop)
    if random.random() < SHARE:
        time.sleep(random.uniform(0, LONGEST))


SelectorEventLoop._run_once = _run_once_and_stall  # type: ignore[attr-defined]
