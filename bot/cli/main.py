"""The command line: arguments to one call per command, errors to exit codes."""

import asyncio
import sys
from functools import partial
from pathlib import Path

import click

from bot import __version__, settings
from bot.cli import data_commands, exit_codes, setup_commands
from bot.cli.keys import keys
from bot.cli.workspaces import workspaces
from bot.errors import BotError, ConfigError, StoreUnavailable
from bot.imports import certificates_read_in_threads, uncollected
from bot.process import priority
from bot.telemetry import log

TRY_PACKAGES = frozenset({"local_slack", "prompt_toolkit", "rich"})
TRY_INSTALL = "pip install 'threadbot[try]'"


def main() -> None:
    """The entry point of `bot`, its second name `threadbot`, and `python -m bot`."""
    try:
        commands(prog_name="threadbot" if Path(sys.argv[0]).stem == "threadbot" else "bot")
    except BotError as error:
        sys.exit(_report(error))
    except UnicodeEncodeError:
        if all(map(_is_text, sys.argv)):
            raise
        click.echo("bot: an argument is not UTF-8 text", err=True)
        sys.exit(exit_codes.USAGE)


def _is_text(argument: str) -> bool:
    """Whether it has no bytes that Python could not decode."""
    return not any("\ud800" <= letter <= "\udfff" for letter in argument)


def _report(error: BotError) -> int:
    """Print why the bot cannot start, or a command failed; returns the exit code."""
    if isinstance(error, ConfigError):
        click.echo(f"bot: {error}", err=True)
        return exit_codes.CONFIG
    problem = "cannot start: " if sys.argv[1:2] in (["run"], ["web"], ["worker"]) else ""
    advice = ": see `bot doctor`" if isinstance(error, StoreUnavailable) else ""
    click.echo(f"bot: {problem}{error}{advice}", err=True)
    return exit_codes.UNAVAILABLE


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
    """Run everything in one process.

    With several processes, one receives and the others answer.
    """
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
    """Try the bot in a local Slack, without any setup.

    It needs no workspace, no key and no Redis.
    """
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


for command in (*setup_commands.COMMANDS, *data_commands.COMMANDS, keys, workspaces):
    commands.add_command(command)


def _serve(*, web_part: bool, work_part: bool) -> None:
    loaded = settings.load()
    log.configure(loaded.bot_log_level, loaded.secrets)
    if not web_part:
        priority.lower_priority()

    with uncollected(), certificates_read_in_threads():
        from bot.app import serve  # only now: a wrong setting is reported without delay

    asyncio.run(serve(loaded, web_part=web_part, work_part=work_part))


def _supervise(*, web: int, workers: int) -> None:
    """Run `web` processes that receive, and `workers` that answer."""
    loaded = settings.load()
    log.configure(loaded.bot_log_level, loaded.secrets)

    with uncollected(), certificates_read_in_threads():
        import bot.process.work_part  # noqa: F401  # before the fork, so that all share it
        from bot import app
        from bot.engines import preload
        from bot.process.supervisor import Supervisor

        preload(loaded)

    def work(number: int, lifeline: int) -> int:
        is_web = number < web
        port = loaded.bot_health_port
        health_port = port + number - web if port and not is_web else None
        own = loaded.model_copy(update={"bot_health_port": health_port})
        if not is_web:
            priority.lower_priority()
        try:
            asyncio.run(app.serve(own, web_part=is_web, work_part=not is_web, lifeline=lifeline))
        except BotError as error:
            return _report(error)
        return 0

    works = [partial(work, number) for number in range(web + workers)]
    sys.exit(Supervisor(works, (exit_codes.CONFIG, exit_codes.UNAVAILABLE)).run())
