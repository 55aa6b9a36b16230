"""`bot workspaces`: the operator's view of all workspaces, and their settings."""

import asyncio
import sys

import click

from bot import settings


@click.group()
def workspaces() -> None:
    """List and manage the workspaces that installed the bot."""


@workspaces.command(name="list")
def list_() -> None:
    """Print all workspaces with this month's turns and cost, failures, and when they were seen."""
    from bot.cli import workspace_admin as admin

    click.echo(admin.render(asyncio.run(admin.fetch(settings.load()))))


@workspaces.command(name="set")
@click.argument("id")
@click.option("--model", help="Model that answers; empty: the deployment's.")
@click.option("--instructions", help="Added to the deployment's instructions.")
@click.option("--admins", help="User ids, separated by commas.")
@click.option("--tools-off", help="Servers whose tools are not offered, separated by commas.")
@click.option("--ai-key", is_flag=True, help="Ask for its own key of the AI server; empty: none.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Such as person_tokens=100000; an empty number: the deployment's limit.",
)
@click.option(
    "--admin-limit",
    "admin_limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="The lower limit that its admins set in Home; an empty number: none.",
)
@click.option(
    "--retention-days", help="Days until its conversations are deleted; empty: the deployment's."
)
def set_(
    id: str,
    *,
    ai_key: bool,
    limits: tuple[str, ...],
    admin_limits: tuple[str, ...],
    **given: str | None,
) -> None:
    """Change the settings of one workspace (T…) or organization (E…).

    Settings that are not given stay as they are.
    """
    from bot.cli import workspace_admin as admin

    loaded = settings.load()
    changes = admin.parse_changes(given, limits, admin_limits)
    admin.check_changes(loaded, id, changes)
    key = _read_key() if ai_key else None
    asyncio.run(admin.change(loaded, id, changes, key))
    click.echo(f"{id}: saved; it applies within ten seconds")


@workspaces.command()
@click.argument("id")
@click.confirmation_option(prompt="Delete its token? Its data follows after BOT_UNINSTALL_DAYS.")
def remove(id: str) -> None:
    """Delete the token of a workspace, as if it had removed the bot."""
    from bot.cli import workspace_admin as admin

    if not asyncio.run(admin.remove(settings.load(), id)):
        raise click.ClickException(f"{id} has no installation")
    click.echo(f"{id}: removed")


def _read_key() -> str:
    """From a terminal without an echo, or from a pipe."""
    if sys.stdin.isatty():
        return str(click.prompt("Key", default="", hide_input=True, show_default=False)).strip()
    return sys.stdin.readline().strip()
