"""Slack's refusals of an answer's messages, and the payloads that are tried instead."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.models import Json
from bot.slack.client import error_code, slack_errors
from bot.telemetry.log import log

TOO_LARGE = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "msg_too_long",
        "too_many_blocks",
    }
)
"""Refusals that a smaller message may avoid: Slack makes blocks of Markdown, at most 50 a message.
https://docs.slack.dev/reference/methods/chat.postMessage#errors"""


class MessageTooLarge(Exception):
    """Slack refused a message for its size; nothing was posted or changed."""


def is_too_large(error: SlackApiError) -> bool:
    """Whether Slack refused the blocks of a message, by their number, size or kind."""
    code = error_code(error)
    return "block" in code or code in TOO_LARGE


async def first_accepted(
    call: Callable[..., Awaitable[Any]],
    payloads: Sequence[Json],
    may_accept_less: Callable[[SlackApiError], bool],
) -> Any:
    """Call with each payload, the richest first, until Slack accepts one; returns its response.

    Raises as `slack_errors`; also the SlackApiError of the last payload, or any that a smaller
    payload cannot avoid.
    """
    for payload in payloads[:-1]:
        try:
            with slack_errors():
                return await call(**payload)
        except SlackApiError as error:
            if not may_accept_less(error):
                raise
            log.warning("payload_refused", error=error_code(error), fields=sorted(payload))
    with slack_errors():
        return await call(**payloads[-1])


ENDED = frozenset({"message_not_in_streaming_state", "stopped_by_user", "message_not_found"})


def is_ended(error: SlackApiError) -> bool:
    """Whether a stream has ended (by age, or stopped by a person), so that the message can be
    edited."""
    return error_code(error) in ENDED
