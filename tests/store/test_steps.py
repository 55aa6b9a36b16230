"""Steps: the names and values that older versions stored are still read."""

import inspect
from typing import Any

import pytest

from bot.models import Answer, Conversation, Run, RunOptions, Thread, Usage, decode, encode
from bot.store import steps
from bot.store.step_values import Admission, Draft, EngineInput, FailedRun, GivenUp, Waits
from bot.store.steps import Generation, Step

STORED: dict[str, Step[Any]] = {
    "admission": steps.ADMISSION,
    "answer": steps.ANSWER,
    "append:1:1700.1": Generation(1).append("1700.1"),
    "archived": steps.ARCHIVED,
    "code:0": steps.code_file(0),
    "conversation:0": Generation(0).conversation,
    "draft:2": steps.draft(2),
    "errand:1700.1": steps.job("1700.1"),
    "file:answer": steps.WHOLE_ANSWER,
    "file:0": steps.made_file(0),
    "forgotten": steps.FORGOTTEN,
    "forgotten:U1": steps.forgotten_conversations("U1"),
    "given_up": steps.GIVEN_UP,
    "heard": steps.ENGINE_INPUT,
    "overfull": steps.OVERFULL,
    "part:3": steps.part(3),
    "rebuild": steps.GENERATION,
    "reordered": steps.REORDERED,
    "retract:1700.1": steps.retraction("1700.1"),
    "run:1": Generation(1).run,
    "share:F1": steps.shared_file("F1"),
    "steps": steps.CARDS,
    "stopped:1700.1": steps.stopped_stream("1700.1"),
    "summary": steps.SUMMARY,
    "summary:append": steps.SUMMARY_APPEND,
    "summary:conversation": steps.SUMMARY_CONVERSATION,
    "summary:run": steps.SUMMARY_RUN,
    "summary:usage": steps.SUMMARY_USAGE,
    "unconfirmed:U1": steps.unconfirmed_deletions("U1"),
    "unattached": steps.UNATTACHED,
    "unread": steps.UNREAD,
    "cut": steps.CUT,
    "approval:a1": steps.approval_step("a1"),
    "asked:1:2": Generation(1).asked(2),
    "call:1.2.3": steps.call("1.2.3"),
    "card:a1": steps.card_step("a1"),
    "card_closed:a1": steps.closed_card("a1"),
    "decision:a1": steps.decision_step("a1"),
    "run:1:2": Generation(1).run_of(2),
    "busy_notice": steps.BUSY_NOTICE,
    "failed_runs": steps.FAILED_RUNS,
    "run:1:again2": Generation(1).repeated_run(2),
    "kept_files": steps.KEPT_FILES,
    "notice": steps.NOTICE,
    "waits": steps.WAITS,
    "limit:3": steps.part_limit(3),
    "hosted:1:2": Generation(1).hosted(2),
}
"""The stored names: those of the first release, then later ones."""

VALUES: list[tuple[Step[Any], str, object]] = [
    (
        steps.ADMISSION,
        '{"admitted":["1.0"],"note":"n","reason":"limit","options":{}}',
        Admission(("1.0",), "n", "limit", RunOptions()),
    ),
    (steps.ENGINE_INPUT, '{"before":[],"messages":[]}', EngineInput()),
    (
        steps.draft(0),
        '{"ts":"1.0","streamed":false,"end":7,"mark":"ab"}',
        Draft("1.0", streamed=False, end=7, mark="ab"),
    ),
    (steps.GIVEN_UP, '{"reason":"crashed","at":1.5}', GivenUp("crashed", 1.5)),
    (
        steps.WAITS,
        '{"totals":{"ai:x":2.5},"dependency":"slack:chat","since":1.5}',
        Waits({"ai:x": 2.5}, "slack:chat", 1.5),
    ),
    (
        Generation(0).run,
        '{"id":"resp_1","conversation_id":"conv_1","started_at":1.5,"status":"queued"}',
        Run("resp_1", "conv_1", 1.5),
    ),
    (
        Generation(0).conversation,
        '{"id":"c","engine":"e","thread":{"team_id":"T","channel_id":"C","thread_ts":"1.0"},'
        '"user_id":"U","created_at":1.5}',
        Conversation("c", "e", Thread("T", "C", "1.0"), "U", 1.5),
    ),
    (steps.ANSWER, '{"text":"hello","outcome":"completed"}', Answer("hello")),
    (steps.SUMMARY_USAGE, '{"input_tokens":3}', Usage(input_tokens=3)),
    (
        steps.FAILED_RUNS,
        '[{"reason":"server_error","at":1.5,"attempt":0}]',
        (FailedRun("server_error", 1.5, 0),),
    ),
    (steps.UNREAD, '["a.bin (too large)"]', ["a.bin (too large)"]),
]


@pytest.mark.parametrize("name", STORED)
def test_a_step_keeps_the_name_it_was_stored_under(name: str) -> None:
    assert STORED[name].name == name


def test_every_step_has_a_stored_name_of_its_own() -> None:
    declared = [value for value in vars(steps).values() if isinstance(value, Step)]
    families = [
        value
        for value in vars(steps).values()
        if inspect.isfunction(value) and value.__module__ == steps.__name__
    ]
    of_an_attempt = {name for name in vars(Generation) if not name.startswith("_")} - {
        "number",
        "call_key",
    }
    assert len(STORED) == len(declared) + len(families) + len(of_an_attempt)


@pytest.mark.parametrize(("step", "text", "value"), VALUES)
def test_a_stored_value_is_read_as_it_was_meant(step: Step[Any], text: str, value: object) -> None:
    assert decode(step.type, text) == value
    assert decode(step.type, encode(value, step.type)) == value
