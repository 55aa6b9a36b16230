"""The commands that set a deployment up and find out what is wrong with it."""

import asyncio
import re
import sys
from pathlib import Path

import click

from bot import settings
from bot.cli import exit_codes
from bot.settings import env_file
from bot.telemetry import log

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}


@click.command()
@click.option("--url", help="Public address of an HTTP deployment, like https://host.")
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=Path("manifest.yml"),
    help="Compare a file (manifest.yml) with it; if it differs: a diff, and exit code 1.",
)
@click.option("--name", default="Assistant", show_default=True, help="Name of the app, for people.")
@click.option("--prefix", default="", help="For a second app: first part of its command names.")
@click.option("--minimal", is_flag=True, help="Only the scopes that answers to mentions need.")
@click.option("--search", is_flag=True, help="Also the scope that the tool slack_search needs.")
@click.option(
    "--workspaces", is_flag=True, help="For an app that any workspace can install; needs --url."
)
def manifest(
    url: str | None,
    check: Path | None,
    name: str,
    prefix: str,
    *,
    minimal: bool,
    search: bool,
    workspaces: bool,
) -> None:
    """Print the app manifest for Slack."""
    from bot.slack import manifest as manifest_

    if url is not None and not re.fullmatch(r"https://[^/\s]\S*", url):
        raise click.UsageError("Slack sends to https addresses only: --url https://your.host")
    if not 1 <= len(name) <= manifest_.LONGEST_NAME:
        raise click.UsageError(f"--name takes 1 to {manifest_.LONGEST_NAME} characters")
    if not manifest_.is_prefix(prefix):
        raise click.UsageError(f"--prefix takes {manifest_.PREFIX_RULE}, such as test-")
    ours = manifest_.manifest(url, name, prefix, minimal=minimal, search=search)
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
        sys.exit(exit_codes.FAILED)


@click.command()
def init() -> None:
    """Set up the bot: ask, check, and write .env.

    Every answer is checked at once.
    """
    from bot.cli.init import Wizard

    log.configure("ERROR")
    Wizard(env_file.NAME).run()


@click.command()
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

    def report(line: doctor_.CheckResult) -> None:
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
        sys.exit(exit_codes.FAILED)


@click.command()
@click.argument("link")
def why(link: str) -> None:
    """Show where a thread is, what it waits for, and what to do.

    LINK is that of a message: choose "Copy link" in its menu in Slack.
    """
    from bot.cli import why as why_

    place = why_.parse_link(link)
    if place is None:
        raise click.UsageError("Copy the link of a message in Slack, or give CHANNEL:THREAD_TS.")
    click.echo(why_.render(place, asyncio.run(why_.inspect(settings.load(), place))))


COMMANDS = (manifest, init, doctor, why)
