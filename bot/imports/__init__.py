"""What makes imports, most of the start of a process, take less time and memory."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def absent(*packages: str) -> Iterator[None]:
    """Inside the block, these packages count as not installed, unless they are imported already."""
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in packages if name not in modules]
    modules.update(dict.fromkeys(hidden))  # importing them raises ModuleNotFoundError
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection inside the block: what imports create stays alive, and walking through
    it again and again takes a tenth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
