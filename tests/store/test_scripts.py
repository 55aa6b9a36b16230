"""The contracts of the Lua scripts."""

import re

import pytest

from bot.models import Thread
from bot.store import Store
from bot.store.keys import Keys
from bot.store.scripts import FOLDER, RedisValues, ScriptCall, load

KEYS = Keys("bot")
THREAD = Thread("T1", "C1", "1.0")
RELEASE: dict[str, RedisValues] = {
    "claim": "a",
    "name": "b",
    "after": 1.5,
    "counts": 1,
    "reason": "c",
}
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.lua") if path.stem != "prelude")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_contract_is_read_and_no_script_counts_by_hand(name: str) -> None:
    script = load(name)
    assert script.keys
    body = (FOLDER / f"{name}.lua").read_text()
    assert "KEYS[" not in body
    assert "ARGV[" not in body


def test_values_are_ordered_by_the_contract() -> None:
    shuffled = dict(reversed(RELEASE.items()))
    keys, args = load("release").order(KEYS, ScriptCall(THREAD, args=shuffled))
    assert keys == ["{bot}:thread:T1:C1:1.0", "{bot}:ready", "{bot}:later"]
    assert args == ["a", "b", 1.5, 1, "c"]


def test_a_list_comes_last() -> None:
    call = ScriptCall(keys={"lease": "x"}, args={"owner": "o", "ms": 5})
    assert load("lease").order(KEYS, call) == (["x"], ["o", 5])
    call = ScriptCall(args={"worker": "w", "ms": 5, "known_ids": ["1-0", "2-0"]})
    assert load("strays").order(KEYS, call) == (["{bot}:ready"], ["w", 5, "1-0", "2-0"])


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (ScriptCall(THREAD, args={**RELEASE, "extra": 1}), "unknown extra"),
        (ScriptCall(THREAD, args={"claim": "a"}), "missing name, after, counts, reason"),
        (ScriptCall(args=RELEASE), "missing thread"),
        (ScriptCall(THREAD, keys={"seen": ["x"]}, args=RELEASE), "unknown seen"),
        (ScriptCall(THREAD, args={**RELEASE, "name": ["b"]}), "name has the wrong shape"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(call: ScriptCall, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        load("release").order(KEYS, call)


async def test_scripts_in_one_round_trip_return_to_a_server_that_forgot_them(store: Store) -> None:
    lease = store.keys.lease("x")
    calls = [
        ("lease", ScriptCall(keys={"lease": lease}, args={"owner": owner, "ms": 60_000}))
        for owner in ("anna", "bert")
    ]
    await store.connection.run_each(calls)
    await store.redis.script_flush()
    await store.redis.config_resetstat()
    replies = await store.connection.run_each([*calls, ("depth", ScriptCall())], ("GET", lease))
    assert [*replies[:2], replies[-1]] == [1, 0, "anna"]
    assert "cmdstat_script|exists" not in await store.redis.info("commandstats")


def test_a_script_has_only_the_parts_of_the_prelude_that_it_uses() -> None:
    functions = re.findall(r"^local function (\w+)", load("record").source, re.MULTILINE)
    assert functions == ["ignore_memory_limit", "write", "holds", "steps_of"]
    assert "enter(ready" in load("retry").source  # one that another part uses
