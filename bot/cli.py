"""The command line: arguments to one call per command, errors to exit codes.

78: a setting is missing or wrong. 69: Redis or Slack cannot be reached at the start.
"""

import asyncio
import sys
from pathlib import Path

import click

from bot import __version__, log, settings
from bot.errors import BotError, ConfigError

EXIT_CONFIG = 78
EXIT_UNAVAILABLE = 69


def main() -> None:
    """The entry point of `bot` and `python -m bot`."""
    try:
        commands(prog_name="bot")
    except ConfigError as error:
        click.echo(f"bot: {error}", err=True)
        sys.exit(EXIT_CONFIG)
    except BotError as error:
        click.echo(f"bot: cannot start: {error}", err=True)
        sys.exit(EXIT_UNAVAILABLE)


@click.group()
@click.version_option(__version__)
def commands() -> None:
    """A self-hosted AI assistant for Slack."""


@commands.command()
def run() -> None:
    """Run everything in one process."""
    _serve(web_part=True, work_part=True)


@commands.command()
def web() -> None:
    """Take Slack's events and put them into Redis."""
    _serve(web_part=True, work_part=False)


@commands.command()
def worker() -> None:
    """Answer what waits in Redis."""
    _serve(web_part=False, work_part=True)


@commands.command(name="try")
@click.option(
    "--play",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replay a JSONL file of conversations and print the threads.",
)
@click.option("--fresh", is_flag=True, help="Forget what earlier tries left.")
def try_(play: Path | None, fresh: bool) -> None:
    """Try the bot in a local Slack: no workspace, no key, no Redis needed."""
    from bot import tryout
    from bot.playground.script import ScriptError

    try:
        asyncio.run(tryout.play(play, fresh=fresh) if play else tryout.chat(fresh=fresh))
    except ScriptError as error:
        raise click.UsageError(str(error)) from None


@commands.command()
@click.option("--url", help="Public address of an HTTP deployment, like https://host.")
def manifest(url: str | None) -> None:
    """Print the app manifest for Slack."""
    from bot.slack.manifest import render_manifest

    click.echo(render_manifest(url), nl=False)


def _serve(*, web_part: bool, work_part: bool) -> None:
    loaded = settings.load()
    log.configure(loaded.bot_log_level)

    from bot.app import serve  # only now: a wrong setting is told at once

    asyncio.run(serve(loaded, web_part=web_part, work_part=work_part))
