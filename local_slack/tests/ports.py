"""Ports of this machine."""

import random
import socket


def free_port() -> int:
    """A free port, below those that the system gives to connections."""
    return next(p for p in random.sample(range(10_000, 12_000), 2_000) if not is_listening(p))


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
