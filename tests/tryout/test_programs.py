"""What the page of `bot try` is shown about an answer."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.tryout.programs import PARTS, report, summarize
from local_slack import open_workspace

seconds = st.floats(0, 10_000)


@given(st.fixed_dictionaries(dict.fromkeys((*PARTS, "own"), seconds)))
def test_the_parts_of_an_answer_add_up_to_its_total(parts: dict[str, float]) -> None:
    entry: dict[str, Any] = {name: round(value, 3) for name, value in parts.items()}
    entry |= {"total": sum(entry.values()) + 5, "waited_for": {"ai": 2, "slack": 3}}
    total, *listed = re.findall(r"(\d+\.\d\d) s", summarize(entry))
    assert sum(map(float, listed)) == pytest.approx(float(total), abs=0.001)


def test_the_time_before_the_first_attempt_is_the_bot_s_own() -> None:
    entry = {"total": 1.2, "earlier": 0.2, "ai": 0.9}
    assert summarize(entry) == "Answered in 1.20 s: 0.90 s AI server, 0.30 s the bot itself"
    entry |= {"total": 2.2, "earlier": 1.2}
    assert "1.20 s earlier attempts" in summarize(entry)


def test_a_report_without_times_is_not_broken() -> None:
    assert summarize({"total": None}) == "Answered in 0.00 s"


async def test_steps_are_described_in_plain_words() -> None:
    async with open_workspace() as slack:
        general = slack.channel("#general").id
        base: dict[str, Any] = {
            "thread": f"T1:{general}:1.0",
            "timestamp": "2026-01-01T00:00:00+00:00",
            "level": "info",
        }
        report(slack, base | {"event": "step_done", "step": "run:0"})
        later = {"timestamp": "2026-01-01T00:00:01+00:00"}
        report(slack, base | later | {"event": "turn_answered", "total": 1})
        reported = [(step["title"], step["summary"]) for step in slack.steps("#general", "1.0")]
    summary = "Answered in 1.00 s: 1.00 s the bot itself"
    assert reported == [("started the model", ""), ("answered", summary)]
