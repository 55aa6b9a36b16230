"""The contract of function calls for every engine: reported once, answered once, never left
open."""

from dataclasses import replace
from typing import Any

import pytest

from bot.calls import FunctionCall, FunctionOutput, FunctionSpec
from bot.engines import Engine, RunRequest
from bot.models import Conversation, Message, Record, Run, Update
from tests.engines.engines import (
    OPTIONS,
    THREAD,
    ask,
    begin,
    known_as,
    last_update,
    said,
)
from tests.fakes.openai import Answer, Call, FakeOpenAI, Prompt, calling

WEATHER = FunctionSpec("weather", "The weather of a city.", {"type": "object", "properties": {}})
CLOCK = FunctionSpec("clock", "The time.", {"type": "object", "properties": {}})
ROME = 'call weather {"city": "Rome"}'


def script(*rounds: Answer) -> Any:
    """Answers with rounds of calls, then shows the outputs."""
    left = list(rounds)

    def answer(prompt: Prompt) -> Answer:
        if left:
            return left.pop(0)
        shown = [*map(str, prompt.outputs.values()), *prompt.user_messages]
        return Answer(" | ".join([*shown, prompt.instructions]))

    return answer


def rome(call_id: str = "call_rome") -> Answer:
    return calling(Call("weather", '{"city": "Rome"}', call_id))


class Turn:
    """The runs of one turn, as `bot.turn.rounds` starts them."""

    def __init__(
        self, engine: Engine, conversation: Conversation, text: str = ROME, turn_id: str = "turn-1"
    ) -> None:
        self.engine = engine
        self.message: Message = said(text)
        functions = (CLOCK, WEATHER)
        self.request = RunRequest(
            conversation, [self.message], OPTIONS, turn_id, functions=functions
        )

    async def start(self, **changes: Any) -> Run:
        self.request = replace(self.request, **changes)
        if self.request.asked_by is None and not self.request.again:
            await self.engine.append(
                self.request.conversation, self.message, turn_id="turn-1", again=False
            )
        return await self.engine.start(self.request)

    async def end_of(self, run: Run) -> Update:
        return await last_update(self.engine, run, self.request.conversation)

    async def ask(self, **changes: Any) -> tuple[Run, Update]:
        run = await self.start(**changes)
        return run, await self.end_of(run)

    def answered(self, run: Run, update: Update, text: str = "sunny") -> dict[str, Any]:
        """The changes of the request that bring the outputs of a round."""
        return {
            "asked_by": run,
            "asked_after": update.last_item_id,
            "outputs": tuple(FunctionOutput(call, text) for call in update.calls),
            "earlier": (*self.request.earlier, *self.request.outputs),
        }


async def test_a_call_is_reported_and_its_output_is_answered(
    engine: Engine, fake: FakeOpenAI
) -> None:
    fake.answer = script(rome())
    turn = Turn(engine, await begin(engine))
    run, update = await turn.ask()
    assert [(call.name, call.arguments) for call in update.calls] == [
        ("weather", '{"city": "Rome"}')
    ]
    assert update.status in ("completed", "requires_action")
    run, update = await turn.ask(**turn.answered(run, update))
    assert not update.calls
    assert "sunny" in update.text


async def test_all_calls_of_a_round_are_answered_together(engine: Engine, fake: FakeOpenAI) -> None:
    fake.answer = script(calling(Call("weather", '{"city": "Rome"}'), Call("clock")))
    turn = Turn(engine, await begin(engine), f"{ROME}\ncall clock")
    run, update = await turn.ask()
    assert [call.name for call in update.calls] == ["weather", "clock"]
    _, update = await turn.ask(**turn.answered(run, update))
    assert update.text.count("sunny") == 2


async def test_rounds_follow_each_other(engine: Engine, fake: FakeOpenAI) -> None:
    fake.answer = script(rome("call_1"), calling(Call("clock", call_id="call_2")))
    turn = Turn(engine, await begin(engine), f"{ROME}\nthen\ncall clock")
    run, update = await turn.ask()
    run, update = await turn.ask(**turn.answered(run, update, "sunny"))
    assert [call.name for call in update.calls] == ["clock"]
    run, update = await turn.ask(**turn.answered(run, update, "noon"))
    assert "noon" in update.text


async def test_the_turn_after_one_with_calls_sees_its_text(
    engine: Engine, fake: FakeOpenAI
) -> None:
    fake.answer = script(rome())
    turn = Turn(engine, await begin(engine))
    run, update = await turn.ask()
    _, update = await turn.ask(**turn.answered(run, update))
    conversation = replace(turn.request.conversation, last_item_id=update.last_item_id)
    later = await ask(engine, conversation, "and now?", turn_id="turn-2")
    assert ROME in later.text
    assert "and now?" in later.text


@pytest.mark.parametrize("reached", [True, False], ids=["sent", "not-sent"])
async def test_repeated_outputs_are_answered_once(
    engine: Engine, fake: FakeOpenAI, reached: bool
) -> None:
    fake.answer = script(rome())
    turn = Turn(engine, await begin(engine))
    run, update = await turn.ask()
    answered = turn.answered(run, update)
    if reached:
        await turn.ask(**answered)
    _, update = await turn.ask(**answered, again=True)
    assert update.text.count("sunny") == 1
    runs = ("/responses", "/chat/completions", "/threads/*/runs/*/submit_tool_outputs")
    wanted = 0 if engine.name == "echo" else 1 if engine.name == "assistants" else 2
    assert sum(map(fake.created, runs)) == wanted


async def test_a_repeated_call_is_the_same(engine: Engine, fake: FakeOpenAI) -> None:
    fake.answer = script(rome())
    turn = Turn(engine, await begin(engine))
    _, first = await turn.ask()
    _, second = await turn.ask(again=True)
    assert [call.id for call in first.calls] == [call.id for call in second.calls]


async def test_without_callable_functions_the_model_must_answer(
    engine: Engine, fake: FakeOpenAI
) -> None:
    fake.answer = script()
    turn = Turn(engine, await begin(engine))
    run, update = await turn.ask(may_call=False)
    assert not run.takes_calls
    assert update.text
    for sent in fake.requests:
        if sent.method == "POST" and sent.path.endswith(("/responses", "/completions", "/runs")):
            assert sent.body["tool_choice"] == "none"
            assert sent.body["tools"]


async def test_a_conversation_with_closed_calls_continues(engine: Engine, fake: FakeOpenAI) -> None:
    fake.answer = script(rome())
    turn = Turn(engine, await begin(engine))
    run, update = await turn.ask()
    outputs = turn.answered(run, update)["outputs"]
    await engine.close_calls(turn.request.conversation, run, outputs)
    await engine.close_calls(turn.request.conversation, run, outputs)
    later = await ask(engine, turn.request.conversation, "never mind", turn_id="turn-2")
    assert "never mind" in later.text


async def test_results_from_a_lost_conversation_reach_the_model(
    engine: Engine, fake: FakeOpenAI
) -> None:
    fake.answer = script()
    call = FunctionCall("call_1_0", "weather", '{"city": "Rome"}')
    turn = Turn(engine, await begin(engine))
    _, update = await turn.ask(earlier=(FunctionOutput(call, "sunny"),))
    assert "sunny" in update.text


async def test_a_record_with_calls_fills_a_new_conversation(
    engine: Engine, fake: FakeOpenAI
) -> None:
    hostile = FunctionCall("call_1", "no such name! " * 9, "[not json")
    output = FunctionOutput(hostile, "sunny")
    history = [
        Record("user", "weather?", "1.0", "U1"),
        Record("assistant", "It is sunny.", "1.0", outputs=(output, output)),
    ]
    conversation = known_as(engine, await engine.begin(THREAD, "U1", history))
    update = await ask(engine, conversation, "thanks")
    assert "weather?" in update.text


@pytest.mark.parametrize(
    "engine", ["responses", "responses-replayed", "responses-chat"], indirect=True
)
async def test_a_model_that_takes_no_tools_answers_without(
    engine: Engine, fake: FakeOpenAI
) -> None:
    fake.options.takes_tools = False
    fake.answer = script()
    conversation = await begin(engine)
    _, update = await Turn(engine, conversation).ask()
    assert "Rome" in update.text
    before = len(fake.requests)
    conversation = replace(conversation, last_item_id=update.last_item_id)
    _, update = await Turn(engine, conversation, turn_id="turn-2").ask()
    assert "Rome" in update.text
    sent = [request.body for request in fake.requests[before:] if request.method == "POST"]
    assert ["tools" in body for body in sent] == [False], "remembered"
