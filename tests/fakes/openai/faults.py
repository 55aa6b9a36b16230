"""Faults that a test switches on: for which requests, how often, and with what effect."""

import random
import re
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import ApiError, not_found, out_of_quota, overloaded, rate_limited, server_error

FaultKind = Literal[
    "rate_limit",  # 429 rate_limit_exceeded
    "quota",  # 429 insufficient_quota
    "server_error",  # 500
    "overloaded",  # 503
    "not_found",  # 404
    "error",  # any other: `status`, `code`, `message`
    "bad_gateway",  # 502 with an HTML body, as a proxy in between answers
    "delay",  # done, answered `seconds` later
    "hang_before",  # no answer, nothing done
    "hang_after",  # done, no answer
    "drop_before",  # the connection is closed, nothing done
    "drop_after",  # done, then the connection is closed
    "drop_stream",  # an event stream is cut after `events` events or `bytes` bytes
]
KINDS: tuple[str, ...] = get_args(FaultKind)


@dataclass
class Fault:
    """One switch. `path` is a pattern after `/v1`: `*` or `{id}` is one segment, `**` any rest.

    It lets `skip` matching requests pass, then affects `times` of them (None: all), each with
    `probability`.
    """

    kind: FaultKind
    method: str = "*"
    path: str = "**"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    retry_after: float | None = None
    events: int | None = None
    bytes: int | None = None
    seconds: float = 1.0
    status: int = 400
    code: str | None = None
    message: str = "Refused."
    containing: str = ""
    """A text that the body must contain; "" for any."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}")
        if self.kind == "drop_stream" and self.events is None and self.bytes is None:
            raise ValueError("drop_stream needs events or bytes")

    def matches(self, method: str, path: str, body: str = "") -> bool:
        is_meant = self.method in ("*", method) and self.containing in body
        return is_meant and path_matches(self.path, path)

    def as_error(self) -> ApiError | None:
        """The error answer of the kind, if it is one that answers."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = f"{self.retry_after:g}"
        match self.kind:
            case "rate_limit":
                return rate_limited(headers)
            case "quota":
                return out_of_quota(headers)
            case "server_error":
                return server_error(headers)
            case "overloaded":
                return overloaded(headers)
            case "not_found":
                return not_found("Not found.")
            case "error":
                return ApiError(self.status, self.message, code=self.code, headers=headers)
        return None


def path_matches(pattern: str, path: str) -> bool:
    """Whether a path fits a pattern: `*` or `{id}` is one segment, `**` any rest."""
    escaped = re.escape(re.sub(r"\{\w+\}", "*", pattern))
    return re.fullmatch(escaped.replace(r"\*\*", ".*").replace(r"\*", "[^/]+"), path) is not None


class Faults:
    """The active faults; the first one that matches a request is used."""

    def __init__(self, seed: int = 0) -> None:
        self.active: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, fault: Fault) -> None:
        self.active.append(fault)

    def clear(self) -> None:
        self.active.clear()

    def meet(self, method: str, path: str, body: str = "") -> Fault | None:
        for fault in self.active:
            if fault.times == 0 or not fault.matches(method, path, body):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if self._random.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None
