"""`bot doctor`: checks everything a deployment needs, one check after another.

Prints one line per check, with the exact fix. The checks are next to the code that they check.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import bot.dlp.checks
import bot.engines.checks
import bot.slack.checks
import bot.store.checks
import bot.tools.checks
from bot import settings as setting
from bot.checks import Check, Finding, RepairFailed, failed, skipped
from bot.cli import port_check
from bot.cli.settings_checks import FIX_SETTING, look_at_prices, look_at_settings
from bot.errors import ConfigError
from bot.settings import Settings
from bot.tools.config import load_tools

CHECK_SECONDS = 40.0
"""Seconds after which a check is given up."""
NOT_IN_A_RELEASE = ("webhook", "worker", "port", "health port")
"""Checks that a first deploy cannot pass yet: its processes and their machine do not exist."""
LENIENT_IN_A_RELEASE = ("redis",)
"""A new add-on may need minutes to start; the processes wait for it themselves."""
MOST_PASSES = 4
"""A repair may let a check run that was skipped before, and find the next fault."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found."""

    name: str
    finding: Finding


ReportResult = Callable[[CheckResult], None]
ReportRepair = Callable[[str, str], None]
"""Called with the name of a check, and what was repaired or why nothing was."""


async def repair(lines: Iterable[CheckResult], report: ReportRepair) -> bool:
    """Do all repairs that the findings offer; whether any was done."""
    done = False
    for line in lines:
        if line.finding.repair is None:
            continue
        try:
            report(line.name, await line.finding.repair())
            done = True
        except (RepairFailed, OSError) as error:
            report(line.name, f"not repaired: {error}")
    return done


async def examine_and_repair(
    env_file: Path | None, *, url: str, report: ReportResult, report_repair: ReportRepair
) -> list[CheckResult]:
    """`examine`, and again after each round of repairs; returns what was found in the end."""
    for _ in range(MOST_PASSES):
        lines = await examine(env_file, url=url, release=False, report=report)
        if not await repair(lines, report_repair):
            break
    return lines


async def examine(
    env_file: Path | None, *, url: str, release: bool, report: ReportResult
) -> list[CheckResult]:
    """Run all checks, `report` each finding at once, and return them all.

    With `release` it is as lenient as a first deploy needs: see the two constants above.
    """
    lines = [CheckResult("settings", look_at_settings(env_file))]
    report(lines[0])
    try:
        settings = setting.read(env_file)
    except ConfigError:
        return lines
    if settings.slack_bot_token is None and settings.slack_client_id is None:
        return lines
    async with AsyncExitStack() as stack:
        checks = [
            Check("prices", _constantly(look_at_prices(settings))),
            *port_check.find_checks(settings),
        ]
        for opened in (
            bot.store.checks.open_checks(settings),
            bot.slack.checks.open_checks(
                settings, url or settings.bot_public_url or "", tools=_own_tools(settings)
            ),
            bot.engines.checks.open_checks(settings),
            bot.tools.checks.open_checks(settings),
            bot.dlp.checks.open_checks(settings),
        ):
            try:
                checks += await stack.enter_async_context(opened)
            except ConfigError as error:
                checks.append(Check(error.variable, _constantly(failed(str(error), FIX_SETTING))))
        if release:
            checks = [check for check in checks if _kind(check) not in NOT_IN_A_RELEASE]
        return lines + await run(checks, report, lenient=LENIENT_IN_A_RELEASE if release else ())


def _own_tools(settings: Settings) -> tuple[str, ...]:
    """Our own tools that are offered; another check reports a wrong file."""
    try:
        return load_tools(settings.bot_tools).own
    except ConfigError:
        return ()


async def run(
    checks: Sequence[Check], report: ReportResult, lenient: Collection[str] = ()
) -> list[CheckResult]:
    """Run the checks in order; a check is skipped if one that it needs has failed.

    A failure of the `lenient` ones is reported as a warning.
    """
    lines: list[CheckResult] = []
    levels: dict[str, str] = {}
    for check in checks:
        broken = [name for name in check.needs if levels.get(name) in ("failed", "skipped")]
        finding = skipped(f"needs {', '.join(broken)}") if broken else await _look(check)
        levels[check.name] = finding.level
        if _kind(check) in lenient and finding.level == "failed":
            finding = replace(finding, level="warning")
        lines.append(CheckResult(check.name, finding))
        report(lines[-1])
    return lines


def _kind(check: Check) -> str:
    """The name without the number of the server, if there are several."""
    return check.name.rstrip("0123456789 ")


async def _look(check: Check) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check.look()
    except TimeoutError:
        return failed(f"no answer within {CHECK_SECONDS:.0f} s", "is there a firewall between?")
    except Exception as error:
        # A check that crashes must not hide the findings of the others.
        return failed(f"the check itself broke: {type(error).__name__}", "please report this")


def _constantly(finding: Finding) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        return finding

    return look


def has_failed(lines: Iterable[CheckResult]) -> bool:
    """Whether anything does not work."""
    return any(line.finding.level == "failed" for line in lines)


def render_line(line: CheckResult) -> str:
    """The finding as one line of text."""
    finding = line.finding
    fix = f" → {finding.fix}" if finding.fix else ""
    return f"{finding.level:8} {line.name:21} {finding.text}{fix}"


def render_json(lines: Sequence[CheckResult], environment: Mapping[str, str]) -> str:
    """For a machine: {"ok", "checks": [{"name", "level", "text", "fix"}], "environment"}."""
    checks = [
        {
            "name": line.name,
            "level": line.finding.level,
            "text": line.finding.text,
            "fix": line.finding.fix,
        }
        for line in lines
    ]
    found = {"ok": not has_failed(lines), "checks": checks, "environment": environment}
    return json.dumps(found, indent=2, ensure_ascii=False)
