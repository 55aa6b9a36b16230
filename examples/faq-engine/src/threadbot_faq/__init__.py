"""An engine that answers from a TOML file, with the entry whose words match the last question."""

import os
import re
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.engines import RunRequest
from bot.engines.echo import EchoEngine
from bot.errors import ConfigError
from bot.settings import Settings
from bot.timing import EngineTiming

UNKNOWN = "I do not know that one."


@asynccontextmanager
async def open_faq(settings: Settings, timing: EngineTiming) -> AsyncIterator["FaqEngine"]:
    """The engine over `FAQ_FILE`. Raises ConfigError if the file cannot be used."""
    settings.bot_state_dir.mkdir(parents=True, exist_ok=True)
    entries = read_entries(Path(os.environ.get("FAQ_FILE", "faq.toml")))
    engine = FaqEngine(settings.bot_state_dir / "faq.db", deadline=settings.bot_run_deadline)
    try:
        engine.entries = entries
        yield engine
    finally:
        engine.close()


def read_entries(file: Path) -> list[tuple[frozenset[str], str]]:
    """The words and the answer of each entry."""
    try:
        entries: list[dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))["entry"]
        return [(frozenset(entry["words"]), str(entry["answer"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError("FAQ_FILE", f"{file} cannot be used: {error!r}") from None


class FaqEngine(EchoEngine):
    """Conversations as in the echo engine, answers from the file."""

    name = "faq"
    entries: Sequence[tuple[frozenset[str], str]] = ()

    def compose(self, questions: Sequence[str], request: RunRequest) -> str:
        """The answer whose words occur most often in the last question."""
        asked = set(re.findall(r"\w+", questions[-1].lower())) if questions else set()
        best = max(self.entries, key=lambda entry: len(entry[0] & asked), default=None)
        return best[1] if best and best[0] & asked else UNKNOWN
