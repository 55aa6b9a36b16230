"""Usage is counted once, shown to the right people, and checked against limits."""

import csv
import io
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.errors import ConfigError
from bot.jobs.chart import draw_chart
from bot.jobs.report import fetch_rows, render_total, write_csv
from bot.jobs.series import Series
from bot.models import Usage
from bot.settings.prices import Price, load_prices, microdollars
from bot.slack.blocks import bar_chart
from bot.slack.surfaces.commands.usage import render_spent
from bot.store import Store
from bot.store.usage import Spent, day_of
from bot.texts.limits import span
from bot.timing import Timing
from bot.turn.limits import _next_month, _tomorrow
from local_slack.workspace.blocks import check_message_blocks
from tests.store.builders import deliver, take_one
from tests.world import World, open_world

PRICES = """
[gpt]
input = 2.0
cached = 0.5
output = 10.0
"""


@asynccontextmanager
async def priced_world(redis_url: str, directory: Path, **given: Any) -> AsyncIterator[World]:
    prices = directory / "prices.toml"
    prices.write_text(PRICES)
    async with open_world(
        redis_url, directory, bot_prices=prices, openai_model="gpt-6-luna", **given
    ) as world:
        yield world


async def spent_by(world: World, who: str) -> Spent:
    user = world.slack.user(who)
    (spent,) = await world.bot.store.spending.sums(
        world.slack.workspace.team_id, [("person", user.id, day_of(time.time()))]
    )
    return spent


async def test_a_turn_is_counted_for_person_channel_and_workspace(
    redis_url: str, tmp_path: Path
) -> None:
    async with priced_world(redis_url, tmp_path) as world:
        await world.ask("#general", "@bot hello")
        await world.ask("#random", "@bot hello", who="bob")
        team_id, day = world.slack.workspace.team_id, day_of(time.time())
        alice, everybody, general = await world.bot.store.spending.sums(
            team_id,
            [
                ("person", world.slack.user("alice").id, day),
                ("team", "", day[:7]),
                ("channel", world.slack.channel("#general").id, day),
            ],
        )
        assert alice == general
        assert (alice.turns, everybody.turns) == (1, 2)
        assert alice.tokens > 0
        fresh = alice.input_tokens - alice.cached_tokens
        assert alice.microdollars == round(
            fresh * 2.0 + alice.cached_tokens * 0.5 + alice.output_tokens * 10.0
        )
        rows = await fetch_rows(world.settings, 2)
        assert sorted(row.user_id for row in rows) == sorted(
            world.slack.user(name).id for name in ("alice", "bob")
        )
        file = io.StringIO()
        write_csv(rows, file)
        lines = list(csv.DictReader(io.StringIO(file.getvalue())))
        assert sum(int(line["turns"]) for line in lines) == 2
        assert f"{everybody.microdollars:,}" in render_total(rows)


async def test_a_resumed_turn_is_not_counted_twice(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    usage = Usage(100, 40, 10, 5)
    assert await store.spending.account(claim, "U1", usage, 7)
    assert not await store.spending.account(claim, "U1", usage, 7)
    day = day_of(claim.taken_at)
    (spent,) = await store.spending.sums(claim.thread.team_id, [("person", "U1", day)])
    assert spent == Spent(1, 100, 40, 10, 5, 7)


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_usage_that_no_server_reports_is_estimated_and_limited(
    redis_url: str, tmp_path: Path, engine: str
) -> None:
    limits: dict[str, Any] = {"bot_limit_person_tokens": 300, "fake": {"usage": False}}
    async with open_world(redis_url, tmp_path, engine=engine, **limits) as world:
        alice = world.slack.user("alice")
        world.fake.answer = "word " * 200
        root = await world.ask("#general", "@bot tell me")
        await alice.slash("/usage")
        (shown,) = alice.ephemerals("#general")
        assert "of them estimated" in shown.blocks[0]["text"]["text"]
        await world.ask("#general", "more", thread_ts=root)
        await alice.says("#general", "and more", thread_ts=root)
        assert "limit of 300 tokens" in (await world.replies("#general", root, 3))[-1]


async def test_usage_shows_a_person_their_own_and_admins_the_top(
    redis_url: str, tmp_path: Path
) -> None:
    async with priced_world(redis_url, tmp_path) as world:
        chief = world.slack.add_user("chief", is_admin=True)
        await chief.joins("#general")
        alice = world.slack.user("alice")
        await world.ask("#general", "@bot hello")
        await alice.slash("/usage")
        (answer,) = alice.ephemerals("#general")
        assert "Today: 1 answer," in answer.blocks[0]["text"]["text"]
        assert "$0.0" in answer.blocks[0]["text"]["text"]
        assert "People" not in str(answer.blocks)

        await chief.slash("/usage")
        (answer,) = chief.ephemerals("#general")
        assert f"1. <@{alice.id}>: 1 answer," in str(answer.blocks)
        assert f"1. <#{world.slack.channel('#general').id}>: 1 answer," in str(answer.blocks)

        await chief.clicks("#general", answer.ts, "errand:team_chart")
        await alice.clicks("#general", alice.ephemerals("#general")[0].ts, "errand:chart")
        for person, titles in ((chief, 2), (alice, 1)):
            (message,) = await world.slack.wait_for(partial(charts_for, world, person.dm()))
            charts = [each for each in message.blocks if each["type"] == "data_visualization"]
            assert [each["title"][:13] for each in charts] == ["Tokens by day", "People"][:titles]
            values = [p["value"] for p in charts[-1]["chart"]["series"][0]["data"]]
            assert sum(values) > 0
        (message,) = charts_for(world, chief.dm())
        assert f"channel 1: <#{world.slack.channel('#general').id}>" in message.text


async def test_a_slack_without_charts_gets_a_picture(redis_url: str, tmp_path: Path) -> None:
    async with priced_world(redis_url, tmp_path) as world:
        alice = world.slack.user("alice")
        await world.ask("#general", "@bot hello")
        await alice.slash("/usage")
        world.slack.faults.refuse("chat.postMessage", "invalid_blocks")
        await alice.clicks("#general", alice.ephemerals("#general")[0].ts, "errand:chart")
        (message,) = await world.slack.wait_for(partial(files_for, world, alice.dm()))
        file = world.slack.workspace.files[message.file_ids[0]]
        assert file.content.startswith(b"\x89PNG")
        assert charts_for(world, alice.dm()) == []


def test_answers_without_tokens_are_only_counted() -> None:
    assert render_spent(Spent(turns=2)) == "2 answers"
    assert render_spent(Spent(turns=1, input_tokens=3)).startswith("1 answer, 3 tokens")


@pytest.mark.parametrize(
    ("count", "labels"), [(1, ["1"]), (20, None), (21, ["1–2", "3–4"]), (31, ["1–2"])]
)
def test_a_chart_has_as_many_bars_as_slack_takes(count: int, labels: list[str] | None) -> None:
    days = [(str(day), day) for day in range(1, count + 1)]
    block = bar_chart("x" * 60, days, y_label="Tokens")
    check_message_blocks([block])
    data = block["chart"]["series"][0]["data"]
    assert sum(point["value"] for point in data) == sum(value for _, value in days)
    if labels:
        assert [point["label"] for point in data][: len(labels)] == labels


def test_bars_of_the_same_name_stay_apart() -> None:
    names = ["Alexandra Maria Constantinescu", "Alexandra Maria Constantin", "alex", "alex"]
    block = bar_chart("People", [(name, 1) for name in names], y_label="Tokens")
    check_message_blocks([block])
    labels = [point["label"] for point in block["chart"]["series"][0]["data"]]
    assert labels == ["Alexandra Maria Con…", "Alexandra Maria … 2", "alex", "alex 2"]


def charts_for(world: World, channel: str) -> list[Any]:
    return [m for m in world.slack.messages(channel) if "data_visualization" in str(m.blocks)]


def files_for(world: World, channel: str) -> list[Any]:
    return [m for m in world.slack.messages(channel) if m.file_ids]


async def test_a_chart_of_the_workspace_is_for_admins_only(world: World) -> None:
    from bot.store import jobs

    alice = world.slack.user("alice")
    team_id = world.slack.workspace.team_id
    await jobs.ask(world.bot.store.inbox, "team_chart", team_id, alice.id, "e1")
    await jobs.ask(world.bot.store.inbox, "chart", team_id, alice.id, "e2")
    await world.slack.wait_for(lambda: charts_for(world, alice.dm()))
    assert len(charts_for(world, alice.dm())) == 1


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"bot_limit_person_requests": 1}, "Your limit of 1 requests a minute is reached"),
        ({"bot_limit_channel_requests": 1}, "This channel's limit of 1 requests a minute"),
        ({"bot_limit_person_tokens": 1}, "Your limit of 1 tokens a day is reached"),
        ({"bot_limit_channel_cost": 0.000001}, "This channel's limit of $0.00 a month"),
    ],
)
async def test_past_a_limit_nothing_runs_and_the_renewal_is_shown(
    redis_url: str,
    tmp_path: Path,
    limit: dict[str, Any],
    words: str,
) -> None:
    now = time.time()
    one_minute = Timing(clock=lambda: now)
    async with priced_world(redis_url, tmp_path, timing=one_minute, **limit) as world:
        root = await world.ask("#general", "@bot one")
        await world.ask("#general", "two", thread_ts=root)
        answers = await world.replies("#general", root, 2)
        assert words in answers[1]
        assert re.search(r"It renews (on .* UTC, )?in \d+ \w+: please", answers[1])
        assert world.fake.created("/responses") == 1


async def test_at_eighty_percent_people_are_warned_once(redis_url: str, tmp_path: Path) -> None:
    async with priced_world(redis_url, tmp_path) as world:
        await world.ask("#general", "@bot one")
        spent = (await spent_by(world, "alice")).tokens
    limit = int(spent / 0.9)
    async with priced_world(redis_url, tmp_path, bot_limit_person_tokens=limit) as world:
        root = await world.ask("#general", "@bot one")
        assert "limit" not in (await world.replies("#general", root))[0]
        await world.ask("#general", "two", thread_ts=root)
        second = (await world.replies("#general", root, 2))[1]
        assert second.startswith("turn 2")
        assert f"% of your limit of {limit:,} tokens a day is used." in second


def test_the_longest_matching_model_name_sets_the_price(tmp_path: Path) -> None:
    prices = {"gpt": Price(input=1, output=1), "gpt-6": Price(input=2, output=4, cached=1)}
    usage = Usage(100, 50, 10, 3)
    assert microdollars(prices, "gpt-6-2026-09-22", usage) == 190
    assert microdollars(prices, "gpt-5", usage) == 110
    assert microdollars(prices, "llama", usage) is None
    assert load_prices(None) == {}
    assert (
        microdollars(prices, "gpt-5", Usage(10, 50, 0, 0)) == 50
    )  # cached tokens are not included
    broken = ("[gpt", "[gpt]\ninput = 1", "[gpt]\ninput = -1\noutput = 1", "gpt = 3", "# \xe9")
    for text in (*broken, "[gpt]\ninput = inf\noutput = 1", "[gpt]\ninput = 1\noutput = nan"):
        (tmp_path / "prices.toml").write_text(text, encoding="latin-1")
        with pytest.raises(ConfigError, match="BOT_PRICES"):
            load_prices(tmp_path / "prices.toml")
    assert "gpt-6-luna" in load_prices(Path(__file__).parents[2] / "examples" / "prices.toml")


def test_days_and_months_renew_in_utc() -> None:
    now = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC).timestamp()
    for renewal in (_tomorrow(now), _next_month(now)):
        assert datetime.fromtimestamp(renewal, UTC) == datetime(2027, 1, 1, tzinfo=UTC)
    assert [span(seconds) for seconds in (0.5, 30, 61, 7200, 200_000)] == [
        "1 second",
        "30 seconds",
        "2 minutes",
        "2 hours",
        "3 days",
    ]


def test_a_chart_without_usage_is_still_a_picture() -> None:
    days = Series("Tokens by day", [("1", 0)])
    assert draw_chart(days, Series("Nothing", [])).startswith(b"\x89PNG")
    assert draw_chart(Series("No day", []), Series("People", [("a" * 99, 0)]))
