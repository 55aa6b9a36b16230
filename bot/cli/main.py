"""The command line: arguments to one call per command, errors to exit codes.

78: a setting is missing or wrong. 69: Redis or Slack cannot be reached at the start.
"""

import asyncio
import re
import sys
from collections.abc import Coroutine
from functools import partial
from pathlib import Path

import click

from bot import __version__, env_file, settings
from bot.cli.keys import keys
from bot.cli.workspaces import workspaces
from bot.errors import BotError, ConfigError
from bot.telemetry import log

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}
TRY_PACKAGES = frozenset({"local_slack", "prompt_toolkit", "rich"})
TRY_INSTALL = "pip install 'threadbot[try]'"
EXIT_FAILED = 1
EXIT_CONFIG = 78
EXIT_UNAVAILABLE = 69


def main() -> None:
    """The entry point of `bot`, its second name `threadbot`, and `python -m bot`."""
    try:
        commands(prog_name="threadbot" if Path(sys.argv[0]).stem == "threadbot" else "bot")
    except BotError as error:
        sys.exit(_report(error))


def _report(error: BotError) -> int:
    """Print why the bot cannot start; returns the exit code."""
    if isinstance(error, ConfigError):
        click.echo(f"bot: {error}", err=True)
        return EXIT_CONFIG
    click.echo(f"bot: cannot start: {error}", err=True)
    return EXIT_UNAVAILABLE


@click.group()
@click.version_option(__version__)
def commands() -> None:
    """A self-hosted AI assistant for Slack."""


_processes = click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that share the memory of the code; each uses one processor core.",
)


@commands.command()
@_processes
def run(processes: int) -> None:
    """Run everything in one process, or one process that receives and others that answer."""
    if processes == 1:
        _serve(web_part=True, work_part=True)
    else:
        _supervise(web=1, workers=processes - 1)


@commands.command()
def web() -> None:
    """Receive Slack's events and store them in Redis."""
    _serve(web_part=True, work_part=False)


@commands.command()
@_processes
def worker(processes: int) -> None:
    """Answer the messages that wait in Redis.

    With several processes each has its own health port: BOT_HEALTH_PORT and the numbers after it.
    """
    if processes == 1:
        _serve(web_part=False, work_part=True)
    else:
        _supervise(web=0, workers=processes)


@commands.command(name="try")
@click.option(
    "--play",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replay a JSONL file of conversations and print the threads.",
)
@click.option(
    "--browser/--terminal",
    default=None,
    help="Where to chat. Default: in the browser, or in the terminal if the input is a pipe.",
)
@click.option("--fresh", is_flag=True, help="Delete the state of earlier runs first.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; 0: the last one."
)
@click.option(
    "--seed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file of people, channels and earlier messages; see examples/workspace.yml.",
)
def try_(
    play: Path | None, browser: bool | None, fresh: bool, port: int, seed: Path | None
) -> None:
    """Try the bot in a local Slack: no workspace, no key, no Redis needed."""
    try:
        asyncio.run(_try(play, browser, seed, fresh=fresh, port=port))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRY_PACKAGES:
            raise
        raise click.ClickException(f"`bot try` needs {error.name}: {TRY_INSTALL}") from None


async def _try(
    play: Path | None, browser: bool | None, seed: Path | None, *, fresh: bool, port: int
) -> None:
    from bot.tryout import chat, page
    from local_slack.script import ScriptError

    try:
        if play:
            await chat.play(play, fresh=fresh)
        elif browser or (browser is None and sys.stdin.isatty()):
            await page.serve(fresh=fresh, port=port, seed=seed)
        else:
            await chat.chat(fresh=fresh)
    except ScriptError as error:
        raise click.UsageError(str(error)) from None


@commands.command()
@click.option("--url", help="Public address of an HTTP deployment, like https://host.")
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=Path("manifest.yml"),
    help="Compare a file (manifest.yml) with the manifest instead; 1 and a diff if it differs.",
)
@click.option("--name", default="Assistant", show_default=True, help="Name of the app, for people.")
@click.option("--prefix", default="", help="For a second app: first part of its command names.")
@click.option("--minimal", is_flag=True, help="Only the scopes that answers to mentions need.")
@click.option(
    "--workspaces", is_flag=True, help="For an app that any workspace can install; needs --url."
)
def manifest(
    url: str | None, check: Path | None, name: str, prefix: str, *, minimal: bool, workspaces: bool
) -> None:
    """Print the app manifest for Slack."""
    from bot.slack import manifest as manifest_

    if url is not None and not re.match(r"https://[^/\s]", url):
        raise click.UsageError("Slack sends to https addresses only: --url https://your.host")
    if not 1 <= len(name) <= manifest_.LONGEST_NAME:
        raise click.UsageError(f"--name takes 1 to {manifest_.LONGEST_NAME} characters")
    if not manifest_.is_prefix(prefix):
        raise click.UsageError(f"--prefix takes {manifest_.PREFIX_RULE}, such as test-")
    ours = manifest_.manifest(url, name, prefix, minimal=minimal)
    if workspaces:
        if url is None:
            raise click.UsageError("--workspaces needs the address of the callback: --url")
        ours = manifest_.for_many_workspaces(ours, url)
    if check is None:
        click.echo(manifest_.render_yaml(ours), nl=False)
        return
    if not check.exists():
        raise click.ClickException(f"there is no file {check}")
    if difference := manifest_.diff_manifest(check.read_text(), str(check), ours):
        click.echo(difference, nl=False)
        sys.exit(EXIT_FAILED)


@commands.command()
def init() -> None:
    """Set the bot up: asks, checks every answer at once, and writes .env."""
    from bot.cli.init import Wizard

    log.configure("ERROR")
    Wizard(env_file.NAME).run()


@commands.command()
@click.option("--url", default="", help="Public address of an HTTP deployment, like https://host.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one JSON object.")
@click.option(
    "--release", is_flag=True, help="Check what a first release needs (for Heroku's release step)."
)
@click.option("--fix", is_flag=True, help="Apply the safe fixes, and check again.")
@click.option("--environment", is_flag=True, help="Add versions and choices, for a bug report.")
def doctor(url: str, as_json: bool, release: bool, fix: bool, environment: bool) -> None:
    """Check everything a deployment needs, with fixes. Exits with 1 if a check failed."""
    from bot.cli import doctor as doctor_
    from bot.cli import environment as environment_

    if fix and release:
        raise click.UsageError("--release only judges: it cannot be combined with --fix")

    def report(line: doctor_.Line) -> None:
        if not as_json:
            level = line.finding.level
            text = doctor_.render_line(line).removeprefix(level)
            click.echo(click.style(level, fg=COLOURS[level]) + text)

    def report_repair(name: str, what: str) -> None:
        if not as_json:
            click.echo(f"{click.style('repair', fg='cyan')}   {name:21} {what}")

    log.configure("ERROR")
    if fix:
        coroutine = doctor_.examine_and_repair(
            env_file.NAME, url=url, report=report, report_repair=report_repair
        )
    else:
        coroutine = doctor_.examine(env_file.NAME, url=url, release=release, report=report)
    lines = asyncio.run(coroutine)
    facts = environment_.describe(env_file.NAME)
    if as_json:
        click.echo(doctor_.render_json(lines, facts))
    elif environment:
        click.echo(f"\n{environment_.render(facts)}")
    if doctor_.has_failed(lines):
        sys.exit(EXIT_FAILED)


@commands.command()
@click.argument("link")
def why(link: str) -> None:
    """Say where a thread is, what it waits for, and what to do. LINK: copy it in Slack."""
    from bot.cli import why as why_

    place = why_.parse_link(link)
    if place is None:
        raise click.UsageError("Copy the link of a message in Slack, or give CHANNEL:THREAD_TS.")
    click.echo(why_.render(place, asyncio.run(why_.inspect(settings.load(), place))))


@commands.command()
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
        click.echo(f"{swept.feedback} feedback entries deleted")


@commands.command()
@click.option("--csv", "as_csv", is_flag=True, help="One line per day, channel and person.")
@click.option("--days", default=31, show_default=True, type=click.IntRange(1, 400))
def usage(as_csv: bool, days: int) -> None:
    """Print the usage of the last days (UTC)."""
    from bot.jobs import report

    rows = asyncio.run(report.fetch_rows(settings.load(), days))
    if as_csv:
        report.write_csv(rows, sys.stdout)
    else:
        click.echo(report.render_total(rows))


@commands.group()
def dead() -> None:
    """List, retry or delete dead letters (messages that were given up)."""


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

    _tell_unknown(
        asyncio.run(dead_.retry_letters(settings.load(), _wanted(ids, every), every=every))
    )


@dead.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
def drop(ids: tuple[str, ...], every: bool) -> None:
    """Delete dead letters for good."""
    from bot.cli import dead as dead_

    _tell_unknown(
        asyncio.run(dead_.drop_letters(settings.load(), _wanted(ids, every), every=every))
    )


def _wanted(ids: tuple[str, ...], every: bool) -> tuple[str, ...]:
    if bool(ids) == every:
        raise click.UsageError("Give the ids that `bot dead list` shows, or --all.")
    return ids


def _tell_unknown(ids: list[str]) -> None:
    for id in ids:
        click.echo(f"bot: there is no dead letter {id}", err=True)
    if ids:
        sys.exit(EXIT_FAILED)


@commands.command()
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
        sys.exit(EXIT_FAILED)


@commands.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write all data of the bot to a new file, while it goes on working.

    The file holds what people said: keep it as safe as Redis.
    """
    from bot.cli import backup as backup_

    log.configure("ERROR")
    click.echo(_unless_unusable(backup_.backup(settings.load(), file)))


@commands.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Restore a backup into an empty Redis, before the processes are started."""
    from bot.cli import backup as backup_

    log.configure("ERROR")
    click.echo(_unless_unusable(backup_.restore(settings.load(), file)))


def _unless_unusable(work: Coroutine[None, None, str]) -> str:
    from bot.store.backup_file import UnusableBackup

    try:
        return asyncio.run(work)
    except UnusableBackup as error:
        raise click.ClickException(str(error)) from None


@commands.group()
def hold() -> None:
    """Legal hold: while it is on, nothing that people said is deleted."""


@hold.command(name="begin")
def begin_hold() -> None:
    """Delete nothing from now on; deletions that people ask for are kept."""
    from bot.cli import hold as hold_

    click.echo(asyncio.run(hold_.begin(settings.load())))


@hold.command(name="end")
def end_hold() -> None:
    """Delete again, beginning with what was kept."""
    from bot.cli import hold as hold_

    click.echo(asyncio.run(hold_.end(settings.load())))


@hold.command(name="status")
def hold_status() -> None:
    """Print whether a hold is on, and how many deletions wait for its end."""
    from bot.cli import hold as hold_

    click.echo(asyncio.run(hold_.status(settings.load())))


@commands.group()
def feedback() -> None:
    """Feedback on answers."""


@feedback.command(name="export")
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv")
def export_feedback(kind: str) -> None:
    """Print all feedback with its notes and the ids of the answers."""
    from bot.cli import feedback as feedback_

    found = asyncio.run(feedback_.fetch(settings.load()))
    render = feedback_.render_csv if kind == "csv" else feedback_.render_jsonl
    click.echo(render(found), nl=False)


commands.add_command(keys)
commands.add_command(workspaces)


def _serve(*, web_part: bool, work_part: bool) -> None:
    loaded = settings.load()
    log.configure(loaded.bot_log_level, loaded.secrets)

    from bot.app import serve  # only now: a wrong setting is reported without delay

    asyncio.run(serve(loaded, web_part=web_part, work_part=work_part))


def _supervise(*, web: int, workers: int) -> None:
    """Run `web` processes that receive, and `workers` that answer."""
    loaded = settings.load()
    log.configure(loaded.bot_log_level, loaded.secrets)

    import bot.work_part  # noqa: F401  # before the fork, so that all share it
    from bot import app
    from bot.engines import preload
    from bot.supervisor import Supervisor

    preload(loaded)

    def work(number: int, lifeline: int) -> int:
        is_web = number < web
        port = loaded.bot_health_port
        health_port = port + number - web if port and not is_web else None
        own = loaded.model_copy(update={"bot_health_port": health_port})
        try:
            asyncio.run(app.serve(own, web_part=is_web, work_part=not is_web, lifeline=lifeline))
        except BotError as error:
            return _report(error)
        return 0

    works = [partial(work, number) for number in range(web + workers)]
    sys.exit(Supervisor(works, (EXIT_CONFIG, EXIT_UNAVAILABLE)).run())
