"""The audit trail: ordered, complete, and tamper-evident."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from bot.cli.audit import read, render_csv, render_newest
from bot.errors import StoreUnavailable
from bot.store import AuditLine, Store, open_store

LINE = AuditLine(
    at=1_800_000_000.0,
    team_id="T1",
    channel_id="C1",
    thread_ts="1.0",
    user_id="U1",
    turn_id="t",
    call_id="call_1",
    server="s",
    tool="write",
    arguments_sha256="ab" * 32,
    decision="allow once",
    decided_by="U1",
    outcome="done",
    milliseconds=7,
)


async def fill(store: Store, count: int, turn_id: str = "t") -> None:
    for number in range(count):
        await store.audit.append(replace(LINE, turn_id=turn_id, call_id=f"call_{number}"))


async def entries_of(store: Store) -> list[Any]:
    found: list[Any] = await store.connection.execute("XRANGE", store.keys.audit, "-", "+")
    return found


async def test_lines_come_back_in_order_and_intact(store: Store) -> None:
    await fill(store, 1_200)
    lines, problem = await read(store)
    assert [line.call_id for line in lines] == [f"call_{n}" for n in range(1_200)]
    assert problem == ""


async def test_a_line_that_is_appended_again_after_a_lost_reply_is_there_once(store: Store) -> None:
    await store.audit.append(LINE)
    before = (await entries_of(store))[0]
    text, stored = before[1]["line"], before[1]["hash"]
    again = {"before": "", "after": stored, "oldest": "", "lines": [text, stored]}
    assert await store.connection.run("audit", **again) == stored
    assert len(await entries_of(store)) == 1


async def test_a_failure_is_raised_for_every_line_of_the_request(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **named: Any) -> Any:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(store.connection, "run", fail)
        results = await asyncio.gather(
            *(store.audit.append(LINE) for _ in range(5)), return_exceptions=True
        )
    assert [type(result) for result in results] == [StoreUnavailable] * 5
    assert await entries_of(store) == []


async def test_a_cancelled_turn_does_not_affect_other_audit_lines(store: Store) -> None:
    first = asyncio.create_task(store.audit.append(LINE))
    second = asyncio.create_task(store.audit.append(replace(LINE, turn_id="other")))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert "other" in [line.turn_id for line in (await read(store))[0]]


async def test_an_empty_trail_is_intact(store: Store) -> None:
    assert await read(store) == ([], "")


async def test_lines_of_many_turns_and_processes_form_one_chain(
    store: Store, redis_url: str
) -> None:
    prefix = store.keys.prefix
    async with open_store(redis_url, prefix=prefix) as second:
        stores = [store, second] * 50
        await asyncio.gather(*(fill(each, 4, f"turn-{n}") for n, each in enumerate(stores)))
    lines, problem = await read(store)
    assert len({(line.turn_id, line.call_id) for line in lines}) == len(lines) == 400
    assert problem == ""


async def test_simultaneous_audit_lines_take_one_request(store: Store) -> None:
    await fill(store, 1, "turn-0")  # loads the script
    await store.redis.config_resetstat()
    await asyncio.gather(*(fill(store, 1, f"turn-{n}") for n in range(1, 100)))
    calls = (await store.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert calls <= 3
    assert len(await entries_of(store)) == 100


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_removed_line_is_detected(store: Store, which: int) -> None:
    await fill(store, 3)
    entries = await entries_of(store)
    await store.redis.xdel(store.keys.audit, entries[which][0])
    _, problem = await read(store)
    # The oldest lines are dropped when they expire.
    assert problem.startswith("broken") == (which > 0)


async def test_a_changed_line_is_detected(store: Store) -> None:
    await fill(store, 2)
    entries = await entries_of(store)
    fields = dict(entries[1][1])
    fields["line"] = fields["line"].replace("allow once", "denied")
    await store.redis.xdel(store.keys.audit, entries[1][0])
    await store.redis.xadd(store.keys.audit, fields)
    _, problem = await read(store)
    assert problem.startswith("broken")


@pytest.mark.parametrize("after", [0, 2, 4])
async def test_a_foreign_entry_is_detected_and_the_lines_are_read(store: Store, after: int) -> None:
    for number in range(5):
        if number == after:
            await store.connection.execute("XADD", store.keys.audit, "*", "garbage", "{")
        if number < 4:
            await store.audit.append(replace(LINE, call_id=f"call_{number}"))
    lines, problem = await read(store)
    assert [line.call_id for line in lines] == [f"call_{n}" for n in range(4)]
    assert problem.startswith("broken")


async def test_old_lines_are_dropped(redis_url: str) -> None:
    async with open_store(redis_url, prefix="audit-old", audit_days=1) as store:
        old = f"{int((time.time() - 3 * 24 * 3600) * 1000)}-0"
        for _ in range(300):  # Redis trims whole nodes only
            await store.redis.xadd(store.keys.audit, {"line": "{}", "hash": "x"}, id=old)
            old = f"{old.partition('-')[0]}-{int(old.partition('-')[2]) + 1}"
        await store.audit.append(LINE)
        assert await store.redis.xlen(store.keys.audit) < 300


async def test_a_trail_that_is_kept_for_centuries_takes_lines(redis_url: str) -> None:
    """The oldest id to keep would be negative."""
    async with open_store(redis_url, prefix="audit-long", audit_days=10**6) as store:
        await store.audit.append(LINE)
        lines, problem = await read(store)
    assert (len(lines), problem) == (1, "")


def test_csv_has_no_cell_that_a_spreadsheet_runs() -> None:
    table = render_csv([replace(LINE, tool="=cmd()")])
    assert table.splitlines()[0].startswith("at,team_id,")
    assert ",'=cmd()," in table


def test_people_see_the_newest_lines() -> None:
    assert "s/write  allow once by U1  done  7 ms" in render_newest([LINE])
    assert render_newest([]) == "No tool has been called."


def test_the_name_of_a_tool_has_no_effect_on_a_terminal_or_in_a_spreadsheet() -> None:
    line = replace(LINE, tool="\t=a()\x1b[2J\n")
    for shown in (render_newest([line]), render_csv([line])):
        assert "\\u0009=a()\\u001b[2J\\u000a" in shown
