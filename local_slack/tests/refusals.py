"""`with refused("channel_not_found"):` — the call in the block must fail with this code."""

import contextlib
from collections.abc import Iterator

import pytest
from slack_sdk.errors import SlackApiError


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(SlackApiError) as caught:
        yield
    assert caught.value.response["error"] == code
