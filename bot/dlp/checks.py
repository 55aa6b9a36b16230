"""The check of data loss prevention for `bot doctor`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext

from bot.checks import Check, Finding, failed, ok
from bot.dlp import open_dlp
from bot.dlp.rules import load_rules
from bot.errors import DependencyDown
from bot.settings import Settings

SAMPLE = "A harmless sentence of bot doctor."


@asynccontextmanager
async def open_checks(settings: Settings) -> AsyncIterator[Sequence[Check]]:
    """The check, if the settings name rules or a service. Raises ConfigError for the rules."""
    if settings.bot_dlp_rules is None and settings.bot_dlp_url is None:
        yield []
        return
    async with open_dlp(settings, lambda _: nullcontext()) as dlp:

        async def look() -> Finding:
            try:
                [reason] = await dlp.find([SAMPLE])
            except DependencyDown as error:
                fix = "check BOT_DLP_URL and BOT_DLP_TOKEN: until it answers, nothing is answered"
                return failed(f"the DLP service: {error}", fix)
            if reason:
                return failed(f"a harmless text is refused: {reason}", "correct the rule")
            return ok(_describe(settings))

        yield [Check("dlp", look)]


def _describe(settings: Settings) -> str:
    rules = load_rules(settings.bot_dlp_rules) if settings.bot_dlp_rules else {}
    parts = [f"{len(rules)} rules"] if rules else []
    parts += ["a service"] if settings.bot_dlp_url else []
    files = "all files" if settings.bot_dlp_unchecked_files else "text files only"
    return f"{' and '.join(parts)} check what the model gets; {files}"
