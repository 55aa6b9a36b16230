"""Reduces the time and memory of imports, which are most of the start of a process."""

import gc
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
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
def certificates_read_in_threads() -> Iterator[None]:
    """Inside the block, certificate authorities are read in threads, without the GIL; all are
    known at its end.

    aiohttp makes two TLS contexts when it is imported, which read all of them: a tenth of a start.
    The one that verifies nothing needs none.
    """
    threads: list[Thread] = []
    read = ssl.SSLContext.set_default_verify_paths

    def read_in_thread(context: ssl.SSLContext) -> None:
        if context.verify_mode != ssl.CERT_NONE:
            threads.append(Thread(target=read, args=(context,), name="certificates"))
            threads[-1].start()

    # `ssl` offers no other place to hook into.
    ssl.SSLContext.set_default_verify_paths = read_in_thread  # type: ignore[method-assign,assignment]  # it takes a `purpose`, too
    try:
        yield
    finally:
        ssl.SSLContext.set_default_verify_paths = read  # type: ignore[method-assign]  # as it was
        for thread in threads:
            thread.join()


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection inside the block, and none of what it has created.

    The objects that imports create stay alive. Scanning them, even once after the block, takes a
    fifth of the time of a start; the garbage among them is less than a megabyte.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
