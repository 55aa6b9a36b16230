"""What a check of a deployment is: a name, a call, and a finding with its fix.

The checks themselves stand beside what they look at: `bot.store.checks`, `bot.slack.checks`,
`bot.engines.checks`. `bot.cli.doctor` runs them one by one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "failed", "skipped"]
"""`warning`: it works, but not as well or as long as it could. `failed`: it does not work.
`skipped`: nothing was looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `fix` says exactly what to do about it."""

    level: Level
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. It is skipped where one of the checks that it `needs` has failed."""

    name: str
    look: Callable[[], Awaitable[Finding]]
    needs: tuple[str, ...] = ()


def ok(text: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", text)


def warning(text: str, fix: str) -> Finding:
    """It works, but should be fixed."""
    return Finding("warning", text, fix)


def failed(text: str, fix: str) -> Finding:
    """It does not work."""
    return Finding("failed", text, fix)


def skipped(text: str) -> Finding:
    """It could not, or need not, be looked at."""
    return Finding("skipped", text)


def judge_clock(name: str, theirs: float, ours: float, most: float, harm: str) -> Finding:
    """Compare two clocks, in epoch seconds, that may differ by `most`."""
    apart = abs(theirs - ours)
    if apart <= most:
        return ok(f"within {max(1, round(apart))} s of {name}'s")
    return failed(
        f"{apart:.0f} s {'behind' if theirs > ours else 'ahead of'} {name}'s: {harm}",
        "set this machine's clock (timedatectl set-ntp true)",
    )
