"""The commands on data in Redis: usage, dead letters, the audit trail, backups, feedback."""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path

import click

from bot import settings
from bot.cli import exit_codes
from bot.telemetry import log


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be archived and deleted.")
def sweep(dry_run: bool) -> None:
    """Archive idle conversations and delete orphans now."""
    from bot.app import sweep as sweep_

    loaded = settings.load()
    log.configure(loaded.bot_log_level)
    swept = asyncio.run(sweep_(loaded, dry_run=dry_run))
    if swept.held:
        click.echo("A legal hold is on: nothing is archived or deleted. See `bot hold status`.")
    elif dry_run:
        click.echo(f"{swept.archived} idle conversations would be archived,")
        click.echo(f"{swept.deleted} would be deleted from the AI server (orphans included)")
        click.echo(f"{swept.feedback} feedback entries would be deleted")
    else:
        click.echo(f"{swept.archived} archived, {swept.deleted} deleted, {swept.kept} kept")
        if swept.given_up:
            click.echo(f"{swept.given_up} stay on the AI server: their key has been gone for weeks")
        click.echo(f"{swept.feedback} feedback entries deleted")
    if swept.busy:
        click.echo(f"Another process is sweeping the shards {', '.join(map(str, swept.busy))}.")


@click.command()
@click.option("--csv", "as_csv", is_flag=True, help="One line per day, channel and person.")
@click.option(
    "--days",
    default=31,
    show_default=True,
    type=click.IntRange(1, 400),
    help="Number of days, today included.",
)
def usage(as_csv: bool, days: int) -> None:
    """Print the usage of the last days (UTC)."""
    from bot.jobs import report

    rows = asyncio.run(report.fetch_rows(settings.load(), days))
    if as_csv:
        report.write_csv(rows, sys.stdout)
    else:
        click.echo(report.render_total(rows))


@click.group()
def dead() -> None:
    """List, retry or delete dead letters.

    A dead letter holds messages that were given up.
    """


@dead.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON list.")
@click.option("--texts", is_flag=True, help="Show the texts of the messages.")
def list_(as_json: bool, texts: bool) -> None:
    """Print dead letters with their reasons, oldest first."""
    from bot.cli import dead as dead_

    letters = asyncio.run(dead_.list_letters(settings.load()))
    render = dead_.render_json if as_json else dead_.render_table
    click.echo(render(letters, texts=texts))


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
def retry(ids: tuple[str, ...], every: bool) -> None:
    """Put dead letters back into their threads to be answered."""
    from bot.cli import dead as dead_

    _report_unknown(
        asyncio.run(dead_.retry_letters(settings.load(), _wanted(ids, every), every=every))
    )


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
def drop(ids: tuple[str, ...], every: bool) -> None:
    """Delete dead letters permanently."""
    from bot.cli import dead as dead_

    _report_unknown(
        asyncio.run(dead_.drop_letters(settings.load(), _wanted(ids, every), every=every))
    )


def _wanted(ids: tuple[str, ...], every: bool) -> tuple[str, ...]:
    if bool(ids) == every:
        raise click.UsageError("Give the ids that `bot dead list` shows, or --all.")
    return ids


def _report_unknown(ids: list[str]) -> None:
    for id in ids:
        click.echo(f"bot: there is no dead letter {id}", err=True)
    if ids:
        sys.exit(exit_codes.FAILED)


@click.command()
@click.option("--csv", "as_csv", is_flag=True, help="All entries, for a spreadsheet.")
@click.option("--json", "as_json", is_flag=True, help="All entries, as lines of the audit log.")
@click.option("--verify", is_flag=True, help="Check the hash chain; exits with 1 if it is broken.")
def audit(as_csv: bool, as_json: bool, verify: bool) -> None:
    """Print the newest entries of the audit trail of tool calls."""
    from bot.cli import audit as audit_

    lines, problem = asyncio.run(audit_.fetch(settings.load()))
    if as_csv:
        click.echo(audit_.render_csv(lines), nl=False)
    elif as_json:
        click.echo(audit_.render_json(lines), nl=False)
    elif verify:
        click.echo(problem or f"intact: {len(lines)} entries")
    else:
        click.echo(audit_.render_newest(lines))
    if problem and not verify:
        click.echo(f"bot: the audit trail is {problem}", err=True)
    if problem:
        sys.exit(exit_codes.FAILED)


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--keep-days",
    type=click.IntRange(min=1),
    help="Delete older backups in the folder, unless a legal hold is on.",
)
def backup(target: Path, keep_days: int | None) -> None:
    """Write a backup to a new file, while the bot runs.

    It holds all data of the bot, also what people said: keep it as safe as Redis. In an existing
    folder the file is named after the current time.
    """
    from bot.cli import backup as backup_

    if keep_days is not None and not target.is_dir():
        raise click.UsageError("--keep-days needs an existing folder")
    log.configure("ERROR")
    click.echo(_unless_unusable(backup_.backup(settings.load(), target, keep_days)))


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Restore a backup into an empty Redis.

    Do so before the processes are started.
    """
    from bot.cli import backup as backup_

    log.configure("ERROR")
    click.echo(_unless_unusable(backup_.restore(settings.load(), file)))


def _unless_unusable(work: Coroutine[None, None, str]) -> str:
    from bot.store.backup_file import UnusableBackup

    try:
        return asyncio.run(work)
    except UnusableBackup as error:
        raise click.ClickException(str(error)) from None


@click.group()
def hold() -> None:
    """Begin or end a legal hold.

    While it is on, nothing that people said is deleted.
    """


@hold.command(name="begin")
def begin_hold() -> None:
    """Delete nothing from now on; deletions that people ask for are kept."""
    from bot.cli import hold as hold_

    click.echo(asyncio.run(hold_.begin(settings.load())))


@hold.command(name="end")
def end_hold() -> None:
    """Allow deletions again, and carry out those that were kept."""
    from bot.cli import hold as hold_

    click.echo(asyncio.run(hold_.end(settings.load())))


@hold.command(name="status")
def hold_status() -> None:
    """Print whether a hold is on, and how many deletions wait for its end."""
    from bot.cli import hold as hold_

    click.echo(asyncio.run(hold_.status(settings.load())))


@click.group()
def feedback() -> None:
    """Export the feedback on answers."""


@feedback.command(name="export")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    help="Format of the output.",
)
def export_feedback(kind: str) -> None:
    """Print all feedback with its notes and the ids of the answers."""
    from bot.cli import feedback as feedback_

    found = asyncio.run(feedback_.fetch(settings.load()))
    render = feedback_.render_csv if kind == "csv" else feedback_.render_jsonl
    click.echo(render(found), nl=False)


COMMANDS = (sweep, usage, dead, audit, backup, restore, hold, feedback)
