"""Counts that decide the CPU of an answer. No times."""

from collections.abc import Iterator
from contextlib import contextmanager

import openai._models
import pydantic
import pytest

from tests.engines.engines import begin, follow, open_responses_on, said, start
from tests.fakes.openai import Answer, FakeOpenAI, slow


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The validations inside the block, by pydantic and by the SDK's models of it."""
    calls: list[str] = []

    def count(owner: object, name: str) -> None:
        function = getattr(owner, name)

        def counting(*args: object, **options: object) -> object:
            calls.append(name)
            return function(*args, **options)

        monkeypatch.setattr(owner, name, counting)

    with monkeypatch.context():
        count(pydantic.TypeAdapter, "validate_json")
        count(pydantic.TypeAdapter, "validate_python")
        count(openai._models, "construct_type")
        count(openai._models, "validate_type")
        count(openai._models.BaseModel, "model_validate")
        yield calls


async def test_no_event_of_a_stream_is_validated(
    fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    async with open_responses_on(fake) as engine:
        for words in (1, 10, 300):
            fake.answer = slow(Answer("word " * words, piece=5), 0.2)
            conversation = await begin(engine)
            run = await start(engine, conversation, said("hello"))
            with counted(monkeypatch) as calls:
                updates = await follow(engine, run, conversation)
            assert updates[-1].text == ("word " * words)
            found.append(len(calls))
    assert found[1] == found[2] == 0
