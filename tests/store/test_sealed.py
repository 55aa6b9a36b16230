"""Secrets in Redis: encrypted, each bound to its row, and re-encrypted while they are in use."""

import asyncio
import base64
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.errors import ConfigError
from bot.sealing import Keyring, Unreadable, generate_key, parse_keys
from bot.settings import Settings
from bot.store import Sealed, Store
from bot.store.shard_checks import ShardChecks
from tests.redis_server import RedisServer, open_clean_store
from tests.store.builders import place_of

OLD, NEW = parse_keys(f"{generate_key()} {generate_key()}")
TOKEN = "xoxb-12345-secret"


def sealed(store: Store, *keys: bytes) -> Sealed:
    """The secrets as a process with these keys sees them."""
    return Sealed(store.connection, store.keys, Keyring(keys))


async def test_a_secret_is_saved_found_and_removed(store: Store) -> None:
    secrets = sealed(store, NEW)
    await secrets.save("installation", "T1", TOKEN)
    assert await secrets.find("installation", "T1") == TOKEN
    assert await secrets.find("credential", "T1") is None
    assert await secrets.names("installation") == ["T1"]
    assert await secrets.remove("installation", "T1")
    assert await secrets.find("installation", "T1") is None


async def test_a_secret_copied_to_another_row_is_refused(store: Store) -> None:
    secrets, key = sealed(store, NEW), store.keys.sealed("installation")
    await secrets.save("installation", "T1", TOKEN)
    await store.redis.hset(key, "T2", await store.redis.hget(key, "T1"))
    with pytest.raises(Unreadable, match="another row"):
        await secrets.find("installation", "T2")
    assert list(await secrets.unreadable()) == ["installation T2"]


async def test_without_a_key_nothing_is_stored(store: Store) -> None:
    with pytest.raises(ConfigError, match="BOT_ENCRYPTION_KEYS"):
        await store.sealed.save("ai_key", "T1", "sk-1")
    assert await store.sealed.names("ai_key") == []


async def test_a_rotation_leaves_no_row_of_the_old_key(store: Store) -> None:
    before, during = sealed(store, OLD), sealed(store, NEW, OLD)
    for number in range(450):
        await before.save("installation", f"T{number}", f"{TOKEN}{number}")
    await during.save("ai_key", "T1", "sk-1")
    rotated = await during.rotate()
    assert (rotated.resealed, rotated.current, rotated.unreadable) == (450, 1, ())
    assert await sealed(store, NEW).unreadable() == {}
    assert await sealed(store, NEW).find("installation", "T449") == f"{TOKEN}449"
    assert len(await sealed(store, OLD).unreadable()) == 451


async def test_a_rotation_overwrites_no_newer_secret(store: Store) -> None:
    during = sealed(store, NEW, OLD)
    for number in range(100):
        await sealed(store, OLD).save("installation", f"T{number}", "old")

    async def write() -> None:
        for number in range(100):
            await during.save("installation", f"T{number}", "new")

    await asyncio.gather(during.rotate(), write(), during.rotate())
    found = {await during.find("installation", f"T{number}") for number in range(100)}
    assert found == {"new"}


async def test_a_rotation_keeps_and_reports_what_it_cannot_open(store: Store) -> None:
    lost = parse_keys(generate_key())
    await sealed(store, *lost).save("credential", "U1", "lost")
    with capture_logs() as logs:
        rotated = await sealed(store, NEW, OLD).rotate()
    assert rotated.unreadable == ("credential U1",)
    assert [line["event"] for line in logs] == ["secret_unreadable"]
    assert await sealed(store, *lost).find("credential", "U1") == "lost"


async def test_a_secret_is_replaced_only_if_it_is_the_expected_one(store: Store) -> None:
    secrets = sealed(store, NEW)
    await secrets.save("installation", "T1", "first")
    assert not await secrets.replace("installation", "T1", "other".__eq__, "second")
    assert await secrets.replace("installation", "T1", "first".__eq__, "second")
    assert not await secrets.replace("installation", "T9", "first".__eq__, "second")
    assert await secrets.find("installation", "T1") == "second"


async def test_a_secret_is_replaced_while_the_keys_are_rotated(
    store: Store, redis_server: RedisServer
) -> None:
    secrets = sealed(store, NEW, OLD)
    await sealed(store, OLD).save("installation", "T1", "first")
    rotations: list[object] = []

    def is_first(text: str) -> bool:
        """Rotates the keys right after a row was read."""
        if not rotations:
            with redis_server.client() as client:
                again = secrets._keyring.seal(text, "installation", "T1")
                rotations.append(client.hset(store.keys.sealed("installation"), "T1", again))
        return text == "first"

    assert await secrets.replace("installation", "T1", is_first, "second")
    assert rotations
    assert await secrets.find("installation", "T1") == "second"


async def test_the_doctor_names_old_and_lost_keys(store: Store) -> None:
    async def judged(*keys: bytes) -> tuple[str, str, str]:
        text = " ".join(base64.b64encode(key).decode() for key in keys)
        settings = Settings(
            _env_file=None,
            slack_bot_token="xoxb-1",
            bot_redis_prefix=store.keys.prefix,
            bot_encryption_keys=text or None,
        )
        finding = await ShardChecks(place_of(store), settings).encryption()
        return finding.level, finding.text, finding.fix

    assert (await judged())[:2] == ("ok", "no key, and no stored secret")
    await sealed(store, OLD).save("installation", "T1", TOKEN)
    assert (await judged(OLD))[0] == "ok"
    assert (await judged(NEW, OLD))[::2] == ("warning", "bot keys rotate")
    for keys in ((NEW,), ()):
        level, text, _ = await judged(*keys)
        assert level == "failed"
        assert text.startswith("installation T1: ")


async def test_no_dump_of_redis_holds_a_secret(own_server: RedisServer, tmp_path: Path) -> None:
    async with open_clean_store(own_server.url) as store:
        await sealed(store, NEW).save("installation", "T1", TOKEN)
        await store.redis.set("plain", "findable")
        await store.redis.save()
        own_server.copy_data(tmp_path / "copy")
    files = [path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert any(b"findable" in data for data in files)
    assert not any(TOKEN.encode() in data for data in files)
