"""Free ports for servers that tests start later, or start again."""

import os
import random
import socket
from itertools import cycle

BANDS, WIDTH = 16, 600
LOWEST = 12_000
"""Below the ports that the system gives to connections, with room for the bus of a cluster."""
BUS = 10_000
"""So far above its port a node of a Redis Cluster talks to the others."""


def _band() -> range:
    """The ports of this process: those of each process of xdist are its own."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{BANDS - 1}").removeprefix("gw"))
    first = LOWEST + WIDTH * (number % BANDS)
    return range(first, first + WIDTH)


_ports = cycle(random.sample(_band(), WIDTH))


def free_port() -> int:
    """A port of loopback that stays free until its server starts: no connection and no other
    test gets it before."""
    return next(port for port in _ports if _is_free(port) and _is_free(port + BUS))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
