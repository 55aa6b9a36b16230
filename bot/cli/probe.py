"""`python -m bot.cli.probe`: whether this container's bot is healthy, for Docker's HEALTHCHECK.

It asks `/healthz` at PORT, where `bot web` and `bot run` answer, and at BOT_HEALTH_PORT, where
`bot worker` does.
"""

import http.client
import os
import sys

SECONDS = 3.0


def main() -> None:
    """Exit with 0 if the process answers 200, else with 1."""
    ports = (os.environ.get("PORT") or "3000", os.environ.get("BOT_HEALTH_PORT") or "")
    sys.exit(0 if any(answers(int(port)) for port in ports if port) else 1)


def answers(port: int) -> bool:
    """Whether `/healthz` at a port of this machine answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()
