"""`bot` and `python -m bot`."""

import sys

from bot.imports import uncollected

INTERRUPTED = 130


def main() -> None:
    """Run the program; Ctrl-C ends it without a traceback, even while it is being imported."""
    try:
        with uncollected():
            from bot.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
