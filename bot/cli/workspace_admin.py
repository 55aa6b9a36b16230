"""The work of `bot workspaces`: the overview, changes of settings, removal."""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import click

from bot.cli import acts
from bot.engines.keyed import try_key
from bot.errors import ConfigError, Retry
from bot.settings import Settings
from bot.slack.client import identify, open_client
from bot.store import Store
from bot.store.installations import InstallState
from bot.store.shards import open_shards
from bot.store.usage import day_of
from bot.store.workspace_settings import INSTRUCTIONS_LENGTH, LIMITS, WorkspaceSettings, changes
from bot.tools.config import load_tools

MOST_OF_A_NUMBER = 1e12
_USER_ID = re.compile(r"[UW][A-Z0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """One workspace in the overview; times in epoch seconds, 0: never."""

    id: str
    name: str
    installed_at: float
    removed_at: float
    turns: int
    microdollars: int
    failures: int
    seen_at: float
    own: tuple[str, ...]
    """The names of the workspace's own settings."""


async def fetch(loaded: Settings) -> list[WorkspaceRow]:
    """All workspaces, those with most turns first."""
    own = await _own_id(loaded)
    async with open_shards(loaded) as shards:
        rows = [
            row
            for store in shards
            for row in await _rows(store, own if shards.of(own) is store else "")
        ]
    return sorted(rows, key=lambda row: (-row.turns, row.id))


async def _rows(store: Store, own: str) -> list[WorkspaceRow]:
    states = await _states(store, own)
    dead, with_key = await store.dead.list(), await store.workspaces.with_ai_key()
    failures = Counter(letter.thread.team_id for letter in dead)
    return [
        await _row(store, id, state, failures[id], has_key=id in with_key)
        for id, state in states.items()
    ]


async def _row(
    store: Store, id: str, state: InstallState, failures: int, *, has_key: bool
) -> WorkspaceRow:
    month = day_of(time.time())[:7]
    (spent,) = await store.spending.sums(id, [("team", "", month)])
    version = await store.workspaces.newest(id)
    own = changes(WorkspaceSettings(), version.settings)
    return WorkspaceRow(
        id,
        state.name,
        state.installed_at,
        state.removed_at,
        spent.turns,
        spent.microdollars,
        failures,
        float(await store.flags.read(f"workspace_seen:{id}") or 0),
        (*own, *(["ai_key"] if has_key else [])),
    )


async def _states(store: Store, own: str) -> dict[str, InstallState]:
    """All workspaces of a shard with their state. That of `SLACK_BOT_TOKEN`, if `own` is here,
    never installed the bot."""
    states = await store.installations.list()
    return states | ({own: InstallState("SLACK_BOT_TOKEN", 0.0)} if own else {})


async def _own_id(loaded: Settings) -> str:
    """The workspace of `SLACK_BOT_TOKEN`, as far as Slack can say; "" without one."""
    if loaded.slack_bot_token is None:
        return ""
    async with open_client(loaded) as client:
        try:
            return (await identify(client)).team_id
        except (ConfigError, Retry) as error:
            click.echo(f"SLACK_BOT_TOKEN: {error}", err=True)
            return ""


def render(rows: Sequence[WorkspaceRow]) -> str:
    """A table."""
    if not rows:
        return "No workspace has installed the bot."
    cells = [("ID", "NAME", "STATE", "TURNS", "COST", "FAILURES", "LAST SEEN", "OWN SETTINGS")]
    for row in rows:
        state = f"removed {_day(row.removed_at)}" if row.removed_at else _day(row.installed_at)
        cost = f"${row.microdollars / 1e6:.2f}"
        counts = (str(row.turns), cost, str(row.failures))
        own = ", ".join(row.own) or "-"
        cells.append((row.id, row.name, state, *counts, _day(row.seen_at), own))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def parse_changes(
    given: Mapping[str, str | None], limits: Sequence[str], admin_limits: Sequence[str] = ()
) -> dict[str, Any]:
    """The fields of `WorkspaceSettings` to change. Raises UsageError."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "retention_days":
            changes[name] = _number("--retention-days", value, is_whole=True) if value else None
        else:
            field = "servers_off" if name == "tools_off" else name
            is_list = field in ("admins", "servers_off")
            changes[field] = tuple(value.replace(",", " ").split()) if is_list else value.strip()
    for limit in limits:
        changes |= _limit("--limit", "limit_", limit)
    for limit in admin_limits:
        changes |= _limit("--admin-limit", "admin_limit_", limit)
    return changes


def _limit(option: str, prefix: str, given: str) -> dict[str, Any]:
    name, _, number = given.partition("=")
    if f"limit_{name}" not in LIMITS:
        raise click.UsageError(f"{option} knows {', '.join(each[6:] for each in LIMITS)}")
    is_whole = not name.endswith("cost")
    value = _number(f"{option} {name}", number, is_whole=is_whole) if number else None
    return {f"{prefix}{name}": value}


def _number(what: str, text: str, *, is_whole: bool) -> float:
    try:
        value = int(text) if is_whole else float(text)
    except ValueError:
        value = 0
    if not 0 < value < MOST_OF_A_NUMBER:
        raise click.UsageError(f"{what} takes a {'whole ' if is_whole else ''}number above 0")
    return value


def check_changes(loaded: Settings, id: str, changes: Mapping[str, Any]) -> None:
    """Raise UsageError for a value that would have no effect, or that no form could show."""
    if len(changes.get("instructions", "")) > INSTRUCTIONS_LENGTH:
        raise click.UsageError(f"--instructions takes {INSTRUCTIONS_LENGTH} characters at most")
    if wrong := [each for each in changes.get("admins", ()) if not _USER_ID.fullmatch(each)]:
        raise click.UsageError(f"--admins takes ids of people, such as U0123ABCD: {wrong[0]}")
    known = load_tools(loaded.bot_tools).servers
    if wrong := [each for each in changes.get("servers_off", ()) if each not in known]:
        raise click.UsageError(f"--tools-off knows {', '.join(known) or 'no server'}: {wrong[0]}")
    if loaded.bot_prices is None and any(n.endswith("cost") and v for n, v in changes.items()):
        raise click.UsageError("a limit of the cost needs BOT_PRICES: it would never be reached")
    most = loaded.bot_retention_places.get(id, loaded.bot_retention_days)
    if most and (changes.get("retention_days") or 0) > most:
        raise click.UsageError(
            f"--retention-days may be {most:g} at most, as set by BOT_RETENTION_DAYS or _PLACES"
        )


async def change(loaded: Settings, id: str, changes: Mapping[str, Any], ai_key: str | None) -> None:
    """Save changed settings. A key of the AI server is tried first. Raises ClickException, and
    ConfigError if only the deployment's own settings apply."""
    _require_installations(loaded)
    own = await _own_id(loaded)
    async with open_shards(loaded) as shards:
        store = shards.of(id)
        if id not in await _states(store, own if id == own else ""):
            raise click.ClickException(f"{id} has not installed the bot; see `bot workspaces list`")
        if ai_key:
            await _try_key(loaded, ai_key)
        version = await store.workspaces.newest(id)
        wanted = replace(version.settings, **changes)
        if wanted != version.settings and not await store.workspaces.save(
            id, wanted, user_id="", after=version.number
        ):
            raise click.ClickException("changed by someone else at the same time: try again")
        if ai_key is not None:
            await store.workspaces.save_ai_key(id, ai_key)
    changed = sorted(changes) + ([] if ai_key is None else ["ai_key"])
    acts.record(loaded, "settings_changed", team=id, changed=changed)


async def _try_key(loaded: Settings, key: str) -> None:
    if problem := await try_key(loaded, key):
        raise click.ClickException(f"the key does not work and was not saved: {problem}")


async def remove(loaded: Settings, id: str) -> bool:
    """Remove a workspace; returns whether the bot was installed there. Raises ConfigError."""
    _require_installations(loaded)
    async with open_shards(loaded) as shards:
        store = shards.of(id)
        state = (await store.installations.list()).get(id)
        # Slack's clock, which stamped the installation, may be ahead of ours.
        at = max(time.time(), state.installed_at if state else 0.0)
        removed = state is not None and await store.installations.remove(id, at)
        if removed:
            await store.team_data.stop_turns(id)
            acts.record(loaded, "workspace_removed", team=id, what="operator")
        return removed


def _require_installations(loaded: Settings) -> None:
    if loaded.slack_client_id is None:
        raise ConfigError("SLACK_CLIENT_ID", "is not set: no workspace can have installed the bot")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") if at else "-"
