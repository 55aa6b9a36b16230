"""`bot doctor`: looks at everything a deployment needs, one check after the other.

One line for each, with the exact fix; the checks themselves live beside what they check.
"""

import asyncio
import difflib
import json
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dotenv import dotenv_values

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot import settings as setting
from bot.checks import Check, Finding, failed, ok, skipped, warning
from bot.errors import ConfigError
from bot.settings import Settings
from bot.turn.prices import find_price, load_prices

CHECK_SECONDS = 40.0
"""After that a check that hangs is given up."""
NOT_IN_A_RELEASE = ("webhook",)
"""What a first deploy has not got yet: a web process that answers."""
LENIENT_IN_A_RELEASE = ("redis",)
"""A new add-on may need minutes to come up; the processes wait for it themselves."""
MEND_SETTING = "see .env.example, or the README's table of settings"


@dataclass(frozen=True, slots=True)
class Line:
    """The finding of a check."""

    name: str
    finding: Finding


Tell = Callable[[Line], None]


async def examine(env_file: Path | None, *, url: str, release: bool, tell: Tell) -> list[Line]:
    """Run all checks, `tell` each finding at once, and return them all.

    With `release` it judges as a first deploy needs it: see the two constants above.
    """
    lines = [Line("settings", look_at_settings(env_file))]
    tell(lines[0])
    try:
        settings = setting.read(env_file)
    except ConfigError:
        return lines
    async with AsyncExitStack() as stack:
        checks = [Check("prices", _constantly(look_at_prices(settings)))]
        for opened in (
            bot.store.checks.open_checks(settings),
            bot.slack.checks.open_checks(settings, url or settings.bot_public_url or ""),
            bot.engines.checks.open_checks(settings),
        ):
            try:
                checks += await stack.enter_async_context(opened)
            except ConfigError as error:
                checks.append(Check(error.variable, _constantly(failed(str(error), MEND_SETTING))))
        if release:
            checks = [check for check in checks if check.name not in NOT_IN_A_RELEASE]
        return lines + await run(checks, tell, lenient=LENIENT_IN_A_RELEASE if release else ())


async def run(checks: Sequence[Check], tell: Tell, lenient: Collection[str] = ()) -> list[Line]:
    """Run the checks in order; a check of which one that it needs has failed is skipped.

    A failure of the `lenient` ones is reported as a warning.
    """
    lines: list[Line] = []
    levels: dict[str, str] = {}
    for check in checks:
        broken = [name for name in check.needs if levels.get(name) in ("failed", "skipped")]
        finding = skipped(f"needs {', '.join(broken)}") if broken else await _look(check)
        levels[check.name] = finding.level
        if check.name in lenient and finding.level == "failed":
            finding = replace(finding, level="warning")
        lines.append(Line(check.name, finding))
        tell(lines[-1])
    return lines


async def _look(check: Check) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check.look()
    except TimeoutError:
        return failed(f"no answer within {CHECK_SECONDS:.0f} s", "is there a firewall between?")
    except Exception as error:
        # One check that breaks must not hide what the others find.
        return failed(f"the check itself broke: {type(error).__name__}", "please report this")


def _constantly(finding: Finding) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        return finding

    return look


def look_at_settings(env_file: Path | None) -> Finding:
    """All that is missing or wrong; else variables whose name looks like a typing slip."""
    problems = setting.find_problems(env_file)
    if problems:
        return failed("; ".join(str(problem) for problem in problems), MEND_SETTING)
    settings = setting.read(env_file)
    unknown = find_unknown(os.environ, env_file)
    if unknown:
        return warning(f"unknown: {', '.join(unknown)}", "fix the name or remove it")
    way = "Socket Mode" if settings.socket_mode else "HTTP"
    return ok(f"{len(settings.model_fields_set)} set; {settings.bot_engine} engine, {way}")


def look_at_prices(settings: Settings) -> Finding:
    """Whether the price of the model is known: without it no limit in dollars is ever reached."""
    if settings.bot_prices is None:
        return skipped("no BOT_PRICES: tokens are counted, money is not")
    try:
        prices = load_prices(settings.bot_prices)
    except ConfigError as error:
        return failed(str(error), "see examples/prices.toml")
    model = settings.openai_model
    if settings.bot_engine == "assistants" and "openai_model" not in settings.model_fields_set:
        return ok(f"of {len(prices)} models; which one answers is the assistant's choice")
    if find_price(prices, model) is None:
        limited = settings.bot_limit_person_cost or settings.bot_limit_channel_cost
        judge = failed if limited else warning
        return judge(f"{model} has none: it counts as free", f"add [{model}] to BOT_PRICES")
    return ok(f"of {len(prices)} models, {model} among them")


def find_unknown(environment: Mapping[str, str], env_file: Path | None) -> list[str]:
    """Variables with our prefix that the bot does not read, with the likely intended one."""
    known = [name.upper() for name in Settings.model_fields]
    given = [*environment, *(dotenv_values(env_file) if env_file and env_file.exists() else ())]
    unknown = sorted({name for name in given if name.startswith("BOT_")} - set(known))
    return [_with_guess(name, known) for name in unknown]


def _with_guess(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"{name} ({near[0]}?)" if near else name


def has_failed(lines: Iterable[Line]) -> bool:
    """Whether anything does not work."""
    return any(line.finding.level == "failed" for line in lines)


def render_line(line: Line) -> str:
    """The finding as one line of text."""
    finding = line.finding
    fix = f" → {finding.fix}" if finding.fix else ""
    return f"{finding.level:8} {line.name:21} {finding.text}{fix}"


def render_json(lines: Sequence[Line]) -> str:
    """All findings for a machine: {"ok": ..., "checks": [{"name", "level", "text", "fix"}]}."""
    checks = [{"name": line.name} | asdict(line.finding) for line in lines]
    return json.dumps({"ok": not has_failed(lines), "checks": checks}, indent=2, ensure_ascii=False)
