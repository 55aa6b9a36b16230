"""What `bot workspaces` does: the overview, changes of settings, removal."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import click

from bot.cli import acts
from bot.engines.keyed import try_key
from bot.errors import ConfigError
from bot.settings import Settings
from bot.store import open_own_store
from bot.store.usage import day_of
from bot.store.workspace_settings import LIMITS, WorkspaceSettings


@dataclass(frozen=True, slots=True)
class Row:
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
    """The names of the settings it has of its own."""


async def fetch(loaded: Settings) -> list[Row]:
    """All workspaces, those with most turns first."""
    async with open_own_store(loaded) as store:
        dead = await store.dead.list()
        rows, with_key = [], await store.workspaces.with_ai_key()
        for id, state in (await store.installations.list()).items():
            month = day_of(time.time())[:7]
            (spent,) = await store.spending.sums(id, [("team", "", month)])
            version = await store.workspaces.newest(id)
            rows.append(
                Row(
                    id,
                    state.name,
                    state.installed_at,
                    state.removed_at,
                    spent.turns,
                    spent.microdollars,
                    sum(letter.thread.team_id == id for letter in dead),
                    float(await store.flags.read(f"workspace_seen:{id}") or 0),
                    _own(version.settings) + (("ai_key",) if id in with_key else ()),
                )
            )
    return sorted(rows, key=lambda row: (-row.turns, row.id))


def render(rows: Sequence[Row]) -> str:
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


def parse_changes(given: Mapping[str, str | None], limits: Sequence[str]) -> dict[str, Any]:
    """The fields of `WorkspaceSettings` to change. Raises UsageError."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None:
            field = "servers_off" if name == "tools_off" else name
            is_list = field in ("admins", "servers_off")
            changes[field] = tuple(value.replace(",", " ").split()) if is_list else value.strip()
    for limit in limits:
        name, _, number = limit.partition("=")
        field = f"limit_{name}"
        if field not in LIMITS:
            raise click.UsageError(f"--limit knows {', '.join(n[6:] for n in LIMITS)}")
        changes[field] = _number(field, number) if number else None
    return changes


def _number(field: str, text: str) -> float:
    try:
        value = float(text) if field.endswith("cost") else int(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise click.UsageError(f"--limit {field[6:]} takes a number above 0")
    return value


async def change(loaded: Settings, id: str, changes: Mapping[str, Any], ai_key: str | None) -> None:
    """Save changed settings. A key of the AI server is tried first. Raises ClickException."""
    async with open_own_store(loaded) as store:
        if id not in await store.installations.list():
            raise click.ClickException(f"{id} has not installed the bot; see `bot workspaces list`")
        if ai_key:
            await _try_key(loaded, ai_key)
        if ai_key is not None:
            await store.workspaces.save_ai_key(id, ai_key)
        version = await store.workspaces.newest(id)
        wanted = replace(version.settings, **changes)
        if wanted != version.settings and not await store.workspaces.save(
            id, wanted, user_id="", after=version.number
        ):
            raise click.ClickException("changed by someone else at the same time: try again")
    changed = sorted(changes) + ([] if ai_key is None else ["ai_key"])
    acts.record(loaded, "settings_changed", team=id, changed=changed)


async def _try_key(loaded: Settings, key: str) -> None:
    if problem := await try_key(loaded, key):
        raise click.ClickException(f"the key does not work and was not saved: {problem}")


async def remove(loaded: Settings, id: str) -> bool:
    if loaded.slack_client_id is None:
        raise ConfigError("SLACK_CLIENT_ID", "is not set: no workspace can have installed the bot")
    async with open_own_store(loaded) as store:
        state = (await store.installations.list()).get(id)
        # Slack's clock, which stamped the installation, may be ahead of ours.
        at = max(time.time(), state.installed_at if state else 0.0)
        removed = state is not None and await store.installations.remove(id, at)
        if removed:
            await store.team_data.stop_turns(id)
            acts.record(loaded, "workspace_removed", team=id, what="operator")
        return removed


def _own(own: WorkspaceSettings) -> tuple[str, ...]:
    default = WorkspaceSettings()
    names = (*WorkspaceSettings.__slots__,)
    return tuple(name for name in names if getattr(own, name) != getattr(default, name))


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") if at else "-"
