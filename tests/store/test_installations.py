"""Installations and removals in any order, and the data that a removal leaves behind."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import permutations

import pytest

from bot.models import encode
from bot.sealing import Keyring, generate_key, parse_keys
from bot.store import Installation, Sealed, Store
from bot.store.installations import Installations

FIRST = Installation(
    *("T1", "One", "T1", "", "UBOT", "BBOT", "https://one.slack.com/"),
    token="xoxb-first-secret",
    installed_at=100.0,
)
SECOND = replace(FIRST, token="xoxb-second-secret", installed_at=200.0)


@pytest.fixture
def installations(store: Store) -> Installations:
    sealed = Sealed(store.connection, store.keys, Keyring(parse_keys(generate_key())))
    return Installations(store.connection, store.keys, sealed)


async def test_the_newest_installation_wins_in_any_order_of_the_events(
    store: Store, installations: Installations
) -> None:
    events: tuple[Callable[[], Awaitable[bool]], ...] = (
        lambda: installations.save(FIRST),
        lambda: installations.remove("T1", 150.0),
        lambda: installations.remove("T1", 150.5),
        lambda: installations.save(SECOND),
    )
    for order in permutations(events):
        for event in order:
            await event()
        assert await installations.find("T1") == SECOND
        await store.redis.delete(store.keys.installed, store.keys.sealed("installation"))


async def test_a_callback_that_is_overtaken_by_a_removal_stores_no_token(
    installations: Installations,
) -> None:
    assert await installations.save(FIRST)
    assert await installations.remove("T1", 150.0)
    assert not await installations.remove("T1", 151.0)
    assert not await installations.save(FIRST)
    assert await installations.find("T1") is None
    assert await installations.save(SECOND)


async def test_a_token_that_another_version_stored_is_refreshed(
    installations: Installations,
) -> None:
    """The encoding of the row may have other fields, or another order."""
    fields = dict(sorted(json.loads(encode(FIRST)).items())) | {"added_later": 1}
    await installations._sealed.save("installation", "T1", json.dumps(fields))
    found = await installations.find("T1")
    assert found == FIRST
    assert await installations.refresh(found, SECOND)
    assert await installations.find("T1") == SECOND


def test_an_installation_shows_no_token() -> None:
    assert repr(FIRST) == "Installation(T1)"
