"""The audit log: who did what, without any message text."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bot.cli import backup, dead, feedback, hold
from bot.cli.audit import fetch, render_json
from bot.errors import ConfigError
from bot.telemetry import audit_log
from tests.fakes.openai import calling
from tests.stories.tools import OpenTools, read, script
from tests.world import open_world

WORDS = "swordfish"
ROOT = Path(__file__).parents[2]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_every_act_has_a_line_and_no_line_has_a_text(
    open_tools: OpenTools, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    async with open_tools('ask = "never"', bot_audit_log=str(path), bot_deny_people="U9") as world:
        alice = world.slack.user("alice")
        world.slack.add_user("gina", real_name="Gina Guest", is_guest=True)
        await world.slack.user("gina").joins("#general")
        world.fake.answer = script(calling(read(WORDS)))
        root = await world.ask("#general", f"@bot {WORDS}")
        await world.ask("#general", f"@bot {WORDS}", who="gina")
        await world.ask("#general", "reset", thread_ts=root)
        await alice.slash("/conversations", "")
        team, channel = world.slack.workspace.team_id, world.slack.channel("#general").id
        gina = world.slack.user("gina").id
    await hold.begin(world.settings)
    found = lines(path)
    assert WORDS not in path.read_text()
    kinds = [line["event"] for line in found]
    assert kinds == ["tool_call", "answer", "refusal", "answer", "deletion", "answer", "legal_hold"]
    call, answer, refusal, _, deletion, _, begun = found
    place = {"team": team, "channel": channel, "thread": root}
    assert (call["tool"], call["server"], call["decision"]) == ("read", "s", "run")
    assert place.items() <= call.items()
    assert place.items() <= answer.items()
    assert answer["users"] == [alice.id]
    assert answer["tools"] == ["s__read"]
    assert answer["outcome"] == "completed"
    assert answer["input_tokens"] > 0
    assert answer["model"]
    assert (refusal["user"], refusal["reason"], refusal["channel"]) == (gina, "guest", channel)
    assert (deletion["user"], deletion["what"], deletion["outcome"]) == (
        *(alice.id, "conversation"),
        "done",
    )
    assert begun["what"] == "begun"
    assert set(kinds) <= audit_log.EVENTS.keys()
    assert all(line["time"].endswith("+00:00") for line in found)


async def test_the_trail_of_tool_calls_is_printed_in_the_same_form(
    open_tools: OpenTools, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    async with open_tools('ask = "never"', bot_audit_log=str(path)) as world:
        world.fake.answer = script(calling(read("rain")))
        await world.ask("#general", "@bot weather?")
    [call, _] = lines(path)  # the second line is written after the turn has ended
    stored, _ = await fetch(world.settings)
    [printed] = [json.loads(line) for line in render_json(stored).splitlines()]
    assert {**printed, "time": ""} == {**call, "time": ""}


def test_a_file_that_is_moved_away_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with audit_log.opened(str(path)):
        audit_log.record("export", user="U1")
        path.rename(tmp_path / "audit.1")
        audit_log.record("export", user="U2")
    audit_log.record("export", user="U3")
    assert [line["user"] for line in lines(path)] == ["U2"]


async def test_what_operators_do_has_lines(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with open_world(redis_url, tmp_path) as world:
        settings = world.settings.model_copy(update={"bot_audit_log": str(path)})
        await world.ask("#general", f"@bot {WORDS}")
        await backup.backup(settings, tmp_path / "copy")
        await feedback.fetch(settings)
        await dead.retry_letters(settings, ["x"], every=False)
        await dead.drop_letters(settings, ["x"], every=False)
        await hold.begin(settings)
        await hold.end(settings)
    assert [line["event"] for line in lines(path)] == [
        *("backup", "export", "dead_letters_retried", "dead_letters_dropped"),
        *("legal_hold", "legal_hold"),
    ]
    assert WORDS not in path.read_text()


def test_every_event_is_written_somewhere() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "bot").rglob("*.py"))
    for event in audit_log.EVENTS:
        assert re.search(rf'record(?:_message)?\(\s*(?:\w+, )?"{event}"', code), event


def test_the_page_lists_every_event() -> None:
    page = ROOT / "docs" / "how-to" / "data-protection.md"
    for name, what in audit_log.EVENTS.items():
        assert f"| `{name}` | {what} |" in page.read_text()


def test_lines_go_to_standard_output() -> None:
    out = io.StringIO()
    with audit_log.opened("stdout", out):
        audit_log.record("export", user="U1", team="", conversations=0, tools=["a\nb"])
    [line] = out.getvalue().splitlines()
    assert {**json.loads(line), "time": ""} == {
        **{"event": "export", "user": "U1", "time": "", "conversations": 0, "tools": ["a\nb"]},
    }


def test_a_line_that_cannot_be_written_stops_nothing() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    with audit_log.opened("stdout", Full()):
        audit_log.record("export", user="U1")


async def test_a_file_that_cannot_be_written_stops_the_start(
    redis_url: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="BOT_AUDIT_LOG"):
        async with open_world(redis_url, tmp_path, bot_audit_log=str(tmp_path)):
            pass
