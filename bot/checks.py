"""A check of a deployment: a name, a call, and a finding with its fix.

The checks themselves are next to the code that they check: `bot.store.checks`, `bot.slack.checks`,
`bot.engines.checks`. `bot.cli.doctor` runs them one by one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "failed", "skipped"]
"""`warning`: it works, but has a problem. `failed`: it does not work. `skipped`: not checked."""


Repair = Callable[[], Awaitable[str]]
"""Repairs the fault of a finding; returns a short description. Raises RepairFailed."""


class RepairFailed(Exception):
    """A repair could not be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check; `fix` says exactly what to do.

    `repair` does that, if it is safe without asking.
    """

    level: Level
    text: str
    fix: str = ""
    repair: "Repair | None" = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check. It is skipped if one of the checks that it `needs` has failed."""

    name: str
    look: Callable[[], Awaitable[Finding]]
    needs: tuple[str, ...] = ()


def ok(text: str) -> Finding:
    """Everything is correct."""
    return Finding("ok", text)


def warning(text: str, fix: str, repair: Repair | None = None) -> Finding:
    """It works, but should be fixed."""
    return Finding("warning", text, fix, repair)


def failed(text: str, fix: str, repair: Repair | None = None) -> Finding:
    """It does not work."""
    return Finding("failed", text, fix, repair)


def skipped(text: str) -> Finding:
    """It could not, or need not, be checked."""
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


_CONNECTION_FIXES = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "",
        "the certificate cannot be verified: SSL_CERT_FILE must name a file with its issuer's",
    ),
    ("WRONG_VERSION_NUMBER", "https:", "the port speaks no TLS: begin {} with http://"),
    ("disconnected", "http:", "does the server want TLS? begin {} with https://"),
)
"""A part of the error, the beginning of the address, and the fix."""


def root_cause(error: BaseException) -> BaseException:
    """The error with which a chain of errors began. An error raised twice may close a circle."""
    seen = [error]
    while (cause := error.__cause__ or error.__context__) and cause not in seen:
        seen.append(error := cause)
    return error


def connection_fix(error: BaseException, variable: str, url: str, otherwise: str) -> str:
    """What to do if no connection to the http(s) address in a variable can be made."""
    text = str(root_cause(error))
    for sign, scheme, fix in _CONNECTION_FIXES:
        if sign in text and url.startswith(scheme):
            return fix.format(variable)
    return otherwise
