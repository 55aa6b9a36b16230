"""A strict fake of OpenAI's server over real HTTP: Conversations, Responses, Assistants v2.

    async with open_fake_openai() as fake:
        client = AsyncOpenAI(api_key=fake.api_key, base_url=fake.base_url)
        fake.answer = "Hello"                        # or an Answer, or a function of the Prompt
        fake.answer = [failed(), after_polls("Hi", 3)]   # one for each of the next requests
        fake.fault("rate_limit", "POST", "/responses", retry_after=1)

As a process of its own: `python -m tests.fakes.openai --port 0`, driven over `/_control/`.
"""

from . import parts
from .answers import (
    Answer,
    Call,
    Prompt,
    Said,
    Tokens,
    after_polls,
    calling,
    echo,
    expired,
    failed,
    held,
    incomplete,
    mixed,
    never,
    slow,
)
from .faults import Fault, FaultKind
from .options import Options
from .process import RemoteFake, start_fake_openai
from .server import FakeOpenAI, open_fake_openai
from .state import Request

__all__ = [
    "Answer",
    "Call",
    "FakeOpenAI",
    "Fault",
    "FaultKind",
    "Options",
    "Prompt",
    "RemoteFake",
    "Request",
    "Said",
    "Tokens",
    "after_polls",
    "calling",
    "echo",
    "expired",
    "failed",
    "held",
    "incomplete",
    "mixed",
    "never",
    "open_fake_openai",
    "parts",
    "slow",
    "start_fake_openai",
]
