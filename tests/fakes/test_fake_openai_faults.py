"""The fake's faults, through the real SDK."""

import asyncio

import pytest
from openai import (
    APIConnectionError,
    APITimeoutError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
)

from tests.fakes.openai import FakeOpenAI, Fault, FaultKind
from tests.fakes.openai.faults import Faults
from tests.fakes.turns import wait_until

MODEL = "gpt-6-luna"


async def test_a_rate_limit_has_a_retry_after(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    fake.fault("rate_limit", "POST", "/responses", retry_after=2)
    with pytest.raises(RateLimitError) as limited:
        await client.responses.create(model=MODEL, input="hi")
    assert limited.value.code == "rate_limit_exceeded"
    assert limited.value.response.headers["retry-after"] == "2"
    assert (await client.responses.create(model=MODEL, input="hi")).status == "completed"


async def test_an_exhausted_quota_has_its_own_code(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    fake.fault("quota", times=None)
    for _ in range(3):
        with pytest.raises(RateLimitError) as limited:
            await client.conversations.create()
        assert limited.value.code == "insufficient_quota"
        assert "retry-after" not in limited.value.response.headers


@pytest.mark.parametrize("kind", ["server_error", "overloaded", "bad_gateway"])
async def test_server_errors_do_nothing(
    fake: FakeOpenAI, client: AsyncOpenAI, kind: FaultKind
) -> None:
    fake.fault(kind)
    with pytest.raises(InternalServerError):
        await client.conversations.create()
    assert fake.conversations == {}
    assert fake.created("/conversations") == 0


async def test_any_other_error_can_be_configured(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    fake.fault("error", status=409, message="Not now.")
    fake.fault("error", code="conversation_locked")
    with pytest.raises(ConflictError, match="Not now"):
        await client.conversations.create()
    with pytest.raises(BadRequestError) as refused:
        await client.conversations.create()
    assert refused.value.code == "conversation_locked"


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
async def test_a_connection_drops_before_or_after_the_side_effect(
    fake: FakeOpenAI, client: AsyncOpenAI, kind: FaultKind, made: int
) -> None:
    fake.fault(kind, "POST", "/conversations")
    with pytest.raises(APIConnectionError):
        await client.conversations.create()
    assert len(fake.conversations) == fake.created("/conversations") == made
    assert fake.requests[-1].status == 0


@pytest.mark.parametrize(("kind", "made"), [("hang_before", 0), ("hang_after", 1)])
async def test_a_request_times_out_before_or_after_the_side_effect(
    fake: FakeOpenAI, client: AsyncOpenAI, kind: FaultKind, made: int
) -> None:
    fake.fault(kind, "POST", "/responses")
    with pytest.raises(APITimeoutError):
        await client.with_options(timeout=1.0).responses.create(
            model=MODEL, input="hi", background=True
        )
    assert fake.created("/responses") == made


async def test_sdk_retries_after_a_lost_response_are_billed_twice(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.fault("drop_after", "POST", "/responses")
    await client.with_options(max_retries=2).responses.create(model=MODEL, input="hi")
    assert fake.created("/responses") == 2


async def test_a_hanging_request_does_not_keep_the_fake_from_closing(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.fault("hang_before")
    request = asyncio.create_task(client.conversations.create())
    await wait_until(lambda: len(fake.requests) == 1)
    await fake.aclose()
    with pytest.raises(APIConnectionError):
        await request


async def test_an_answer_can_be_delayed(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    fake.fault("delay", "POST", "/conversations", seconds=0.3)
    with pytest.raises(APITimeoutError):
        await client.with_options(timeout=0.1).conversations.create()
    fake.fault("delay", "POST", "/conversations", seconds=0.01)
    await client.conversations.create()


async def test_a_fault_meets_only_the_requests_that_it_names(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.fault("not_found", "GET", "/responses/*", skip=1)
    response = await client.responses.create(model=MODEL, input="hi")
    await client.responses.retrieve(response.id)
    with pytest.raises(NotFoundError):
        await client.responses.retrieve(response.id)
    await client.responses.retrieve(response.id)
    assert [request.fault for request in fake.requests] == [None, None, "not_found", None]


def test_patterns_name_segments_or_everything_below() -> None:
    assert Fault("quota", path="/threads/{thread_id}/runs").matches("POST", "/threads/t/runs")
    assert not Fault("quota", path="/threads/*").matches("POST", "/threads/t/runs")
    assert Fault("quota", path="/threads/**").matches("POST", "/threads/t/runs")
    assert not Fault("quota", "GET").matches("POST", "/threads")


def test_faults_are_reproducible_for_a_seed() -> None:
    def met(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(Fault("quota", times=None, probability=0.3))
        return [faults.meet("GET", "/models") is not None for _ in range(200)]

    assert met(1) == met(1)
    assert met(1) != met(2)
    assert 30 < sum(met(1)) < 90


def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no such fault"):
        Fault("explosion")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="drop_stream needs"):
        Fault("drop_stream")


async def test_a_wrong_key_is_401(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    with pytest.raises(AuthenticationError) as refused:
        await client.with_options(api_key="sk-other").models.list()
    assert refused.value.code == "invalid_api_key"


async def test_every_request_is_on_record_without_its_key(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    await client.responses.create(model=MODEL, input="hi", metadata={"a": "b"})
    (record,) = fake.requests
    assert (record.method, record.path, record.status) == ("POST", "/responses", 200)
    assert record.body == {"model": MODEL, "input": "hi", "metadata": {"a": "b"}}
    assert "authorization" not in {name.lower() for name in record.headers}
