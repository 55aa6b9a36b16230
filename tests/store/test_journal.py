"""The journal: a step is done once, and a step of unknown outcome is looked up."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from bot.errors import RateLimited, Retry, Superseded
from bot.models import Card, Conversation, Run, encode
from bot.store import Claim, Store
from bot.store.archive import Orphan
from bot.store.journal import Paused
from bot.store.step_values import Called, EngineInput
from bot.store.steps import ENGINE_INPUT, Step, part
from tests.store.builders import conversation, deliver, die, rescue, take_one, thread

T = TypeVar("T")

RUN_STEP = Step("run", Run)
TEXT = Step("run", str)
TEXT_STEP = Step("text", str)
BEGIN = Step("begin", Conversation)
RUN = Run("run_1", "conv_1", started_at=1_800_000_000.5)


class Work:
    """A step that records its calls and their arguments."""

    def __init__(self, result: Run = RUN) -> None:
        self.result = result
        self.told: list[bool] = []

    async def __call__(self, again: bool) -> Run:
        self.told.append(again)
        return self.result


async def taken(store: Store) -> Claim:
    await deliver(store, "1.0")
    return await take_one(store, "anna")


async def taken_over(store: Store) -> Claim:
    await die(store, "anna")
    await rescue(store, "bert")
    return await take_one(store, "bert")


async def test_a_step_is_done_once(store: Store) -> None:
    work = Work()
    turn = store.turns.open(await taken(store))

    assert [await turn.once(RUN_STEP, work) for _ in range(3)] == [RUN] * 3
    assert work.told == [False]


async def test_a_server_that_knows_only_some_scripts_begins_a_step_once(store: Store) -> None:
    turn = store.turns.open(await taken(store))
    await store.redis.script_flush()
    await turn.once(part(0), _posted)  # now the server knows the script of the step itself
    work = Work()

    place = store.pace.rider("posts", turn.id, rate=1)
    assert await turn.once(RUN_STEP, work, rider=place) == RUN
    assert work.told == [False]


async def _posted(again: bool) -> str:
    return "1.5"


async def test_a_recorded_step_is_not_done_again_by_another_worker(store: Store) -> None:
    await store.turns.open(await taken(store)).once(RUN_STEP, Work())
    work = Work()
    turn = store.turns.open(await taken_over(store))

    assert turn.recall(RUN_STEP) == RUN
    assert await turn.once(RUN_STEP, work) == RUN
    assert work.told == []


async def test_a_step_that_was_begun_but_not_recorded_is_repeated_with_again(store: Store) -> None:
    async def crash(again: bool) -> Run:
        raise SystemError

    turn = store.turns.open(await taken(store))
    with pytest.raises(SystemError):
        await turn.once(RUN_STEP, crash)
    claim = await taken_over(store)
    assert claim.intents == {"run"}
    assert claim.resumed
    work = Work()

    assert await store.turns.open(claim).once(RUN_STEP, work) == RUN
    assert work.told == [True]


async def test_a_second_try_by_the_same_worker_has_again_set(store: Store) -> None:
    async def crash(again: bool) -> Run:
        raise SystemError

    turn = store.turns.open(await taken(store))
    with pytest.raises(SystemError):
        await turn.once(RUN_STEP, crash)
    work = Work()
    await turn.once(RUN_STEP, work)

    assert work.told == [True]


async def test_a_step_is_not_begun_without_a_valid_claim(store: Store) -> None:
    turn = store.turns.open(await taken(store))
    await taken_over(store)
    work = Work()

    with pytest.raises(Superseded):
        await turn.once(RUN_STEP, work)
    assert work.told == []


async def test_a_step_without_a_valid_claim_is_not_recorded(store: Store) -> None:
    async def lose_the_claim(again: bool) -> Run:
        await die(store, "anna")
        await rescue(store, "bert")
        return RUN

    turn = store.turns.open(await taken(store))
    with pytest.raises(Superseded):
        await turn.once(RUN_STEP, lose_the_claim)

    again = store.turns.open(await take_one(store, "bert"))
    assert again.recall(RUN_STEP) is None


async def test_two_journals_of_one_claim_agree(store: Store) -> None:
    claim = await taken(store)
    first, second = store.turns.open(claim), store.turns.open(claim)
    await first.once(RUN_STEP, Work())
    work = Work(replace(RUN, id="run_2"))

    assert await second.once(RUN_STEP, work) == RUN
    assert work.told == []


async def test_steps_do_not_mix(store: Store) -> None:
    turn = store.turns.open(await taken(store))
    await turn.note(part(1), "1.1")
    await turn.note(part(2), "1.2")
    await turn.note(part(1), "1.3")

    again = store.turns.open(await taken_over(store))
    assert (again.recall(part(1)), again.recall(part(2))) == ("1.3", "1.2")
    assert again.recall(part(3)) is None


async def test_a_turn_reports_whether_a_step_is_running(store: Store) -> None:
    seen: list[bool] = []

    async def look(again: bool) -> Run:
        seen.append(turn.in_step)
        return RUN

    turn = store.turns.open(await taken(store))
    assert not turn.in_step
    await turn.once(RUN_STEP, look)
    assert seen == [True]
    assert not turn.in_step


async def test_beginning_a_conversation_makes_it_the_threads(store: Store) -> None:
    count = 0

    async def begin() -> Conversation:
        nonlocal count
        count += 1
        return conversation()

    turn = store.turns.open(await taken(store))
    assert [
        await turn.begin_conversation(BEGIN, begin),
        await turn.begin_conversation(BEGIN, begin),
    ] == [conversation()] * 2
    assert await store.conversations.find(thread()) == conversation()

    claim = await taken_over(store)
    assert claim.conversation == conversation()
    assert claim.intents == {BEGIN.name}
    assert await store.turns.open(claim).begin_conversation(BEGIN, begin) == conversation()
    assert count == 1


async def test_the_journal_ends_with_its_turn(store: Store) -> None:
    claim = await taken(store)
    await store.turns.open(claim).once(RUN_STEP, Work())
    await store.inbox.settle(claim)
    await deliver(store, "2.0")

    claim = await take_one(store)
    assert (claim.steps, claim.intents, claim.resumed) == ({}, frozenset(), False)


async def test_a_step_that_had_no_effect_was_not_begun(store: Store) -> None:
    await deliver(store, "1.0")
    turn = store.turns.open(await take_one(store))
    heard: list[bool] = []

    async def fail(error: Retry) -> None:
        async def work(again: bool) -> str:
            heard.append(again)
            raise error

        with pytest.raises(Retry):
            await turn.once(TEXT, work, undone_by=RateLimited)

    for error in (RateLimited("429"), RateLimited("429"), Retry("500"), RateLimited("429")):
        await fail(error)
    await fail(Retry("500"))
    assert heard == [False, False, False, True, True]


async def test_deferred_values_are_recorded_with_the_next_intent(store: Store) -> None:
    turn = store.turns.open(await taken(store))
    turn.defer(TEXT_STEP, "of the moment")
    assert turn.recall(TEXT_STEP) == "of the moment"
    assert await turn.once(part(0), text_of("posted"), deferred=True) == "posted"

    turn = store.turns.open(await taken_over(store))
    assert turn.recall(TEXT_STEP) == "of the moment"
    assert turn.recall(part(0)) is None
    assert turn.is_begun(part(0))


async def test_a_value_that_was_made_here_shares_its_texts(store: Store) -> None:
    """As JSON it would take its memory a second time, in thousands of runs in flight."""
    turn = store.turns.open(await taken(store))
    made = EngineInput(messages=turn.claim.messages)
    assert await turn.derive(ENGINE_INPUT, returning(made)) is made
    assert turn.recall(ENGINE_INPUT) is made
    message = turn.claim.messages[0]
    assert message.thread is turn.claim.thread
    conversation = await turn.begin_conversation(BEGIN, begun)
    assert turn.conversation is conversation is turn.recall(BEGIN)
    assert turn.journal["=heard"] == encode(made)
    await turn.flush()

    turn = store.turns.open(await taken_over(store))
    assert turn.recall(ENGINE_INPUT) == made
    assert turn.recall(BEGIN) == conversation


@pytest.mark.parametrize(
    ("step", "value"),
    [
        (Step("called", Called), Called("half of a pair: \ud83d")),
        (Step("request", Called), Called("asks", request={"choices": ("yes", "no")})),
        (Step("number", float), 3),
        (Step("names", list[str]), ["a", "b"]),
        (Step("cards", tuple[Card, ...]), (Card("1", "Searching"),)),
    ],
)
async def test_a_value_is_the_same_before_and_after_a_crash(
    store: Store, step: Step[Any], value: Any
) -> None:
    turn = store.turns.open(await taken(store))
    await turn.note(step, value)
    known, stored = turn.recall(step), turn.journal[f"={step.name}"]

    turn = store.turns.open(await taken_over(store))
    assert turn.recall(step) == known
    assert json.loads(turn.journal[f"={step.name}"]) == json.loads(stored)


async def test_a_step_is_not_begun_during_a_pause_but_earlier_values_are_recorded(
    store: Store,
) -> None:
    turn, key = store.turns.open(await taken(store)), store.pace.pause_key("runs")
    turn.defer(TEXT_STEP, "kept")
    await store.pace.rest("runs", 60)
    with pytest.raises(Paused):
        await turn.once(RUN_STEP, Work(), unless=(store.pace.pause_key("other"), key))
    assert not turn.may_be_done(RUN_STEP)

    turn = store.turns.open(await taken_over(store))
    assert turn.recall(TEXT_STEP) == "kept"
    assert not turn.is_begun(RUN_STEP)


async def test_a_conversation_of_a_lost_claim_becomes_an_orphan(store: Store) -> None:
    turn = store.turns.open(await taken(store))
    await turn.begin_conversation(BEGIN, begun, deferred=True)
    assert await store.archive.orphans(10, 4e9) == []
    await taken_over(store)
    with pytest.raises(Superseded):
        await turn.flush()
    assert await store.archive.orphans(10, 4e9) == [Orphan("echo", "conv_1")]


async def test_a_conversation_saved_twice_is_no_orphan_if_the_claim_is_lost_between(
    store: Store,
) -> None:
    claim = await taken(store)
    await store.conversations.save(claim, conversation())
    await taken_over(store)
    with pytest.raises(Superseded):
        await store.conversations.save(claim, conversation())
    assert await store.archive.orphans(10, 4e9) == []


def returning(value: T) -> Callable[[], Awaitable[T]]:
    async def work() -> T:
        return value

    return work


async def begun() -> Conversation:
    return conversation()


def text_of(text: str) -> Callable[[bool], Awaitable[str]]:
    async def work(_: bool) -> str:
        return text

    return work
