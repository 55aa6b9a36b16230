"""`bot keys`: the keys that encrypt stored secrets."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from bot import sealing, settings
from bot.settings import Settings

if TYPE_CHECKING:
    from bot.store.sealed import Rotated


@click.group()
def keys() -> None:
    """Generate and rotate the keys that encrypt secrets."""


@keys.command()
def generate() -> None:
    """Print a new key for BOT_ENCRYPTION_KEYS."""
    click.echo(sealing.generate_key())


@keys.command()
def rotate() -> None:
    """Encrypt everything again with the first key of BOT_ENCRYPTION_KEYS, while the bot runs."""
    rotated = asyncio.run(_rotate(settings.load()))
    click.echo(f"{rotated.resealed} encrypted again, {rotated.current} were current")
    for row in rotated.unreadable:
        click.echo(f"bot: {row} cannot be opened with any key", err=True)
    if rotated.unreadable:
        sys.exit(1)


async def _rotate(settings: Settings) -> "Rotated":
    from bot.cli import acts
    from bot.store.sealed import Rotated
    from bot.store.shards import open_shards

    async with open_shards(settings) as shards:
        each = [await store.sealed.rotate() for store in shards]
    rotated = Rotated(
        sum(one.resealed for one in each),
        sum(one.current for one in each),
        tuple(row for one in each for row in one.unreadable),
    )
    acts.record(settings, "keys_rotated", resealed=rotated.resealed)
    return rotated
