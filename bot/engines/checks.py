"""What `bot doctor` asks of the AI server: key, model and how long it lives, a conversation.

Nothing here lets a model write: it costs no tokens.
"""

import datetime
import difflib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import openai
from openai import AsyncOpenAI

from bot.checks import Check, Finding, failed, ok, skipped, warning
from bot.engines import Engine, open_engine
from bot.engines.client import LOOK, open_client
from bot.engines.errors import vendor_errors
from bot.engines.replay import PREFIX as REPLAYED
from bot.errors import BotError, ConversationGone, Retry, RunFailed
from bot.models import Thread
from bot.settings import Settings

SOON = datetime.timedelta(days=90)
NOBODY = Thread("doctor", "doctor", "0")

_MENDS = {
    "authentication": "put a valid key into OPENAI_API_KEY",
    "permission": "the key may not do this: give its project or role the right, or use another key",
    "insufficient_quota": "the account has no credit left: see the server's billing page",
    "endpoint_not_found": "is OPENAI_BASE_URL right (mostly it ends in /v1)? does BOT_ENGINE fit?",
}
_UNREACHABLE = "is OPENAI_BASE_URL right, is the server up, may this machine reach it?"


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


@asynccontextmanager
async def open_checks(
    settings: Settings, today: Callable[[], datetime.date] = _today
) -> AsyncIterator[tuple[Check, ...]]:
    """The checks of the engine that `BOT_ENGINE` names."""
    async with open_engine(settings) as engine:
        if settings.bot_engine == "echo":
            yield (Check("engine", _echo),)
            return
        async with open_client(settings) as client:
            yield EngineChecks(engine, client, settings, today).all()


async def _echo() -> Finding:
    mend = "set BOT_ENGINE=responses and OPENAI_API_KEY for answers of a model"
    return warning("echo: there is no AI behind it", mend)


class EngineChecks:
    """The checks of one AI server."""

    def __init__(
        self,
        engine: Engine,
        client: AsyncOpenAI,
        settings: Settings,
        today: Callable[[], datetime.date],
    ) -> None:
        self._engine = engine
        self._client = client
        self._settings = settings
        self._today = today
        self._model = settings.openai_model

    def all(self) -> tuple[Check, ...]:
        """In the order in which they make sense to a reader."""
        checks = [Check("engine", self.round_trip)]
        if self._settings.bot_engine == "assistants":
            checks.append(Check("assistant", self.assistant, ("engine",)))
        return (*checks, Check("model", self.model, ("engine",)))

    async def round_trip(self) -> Finding:
        """Begin a conversation and delete it."""
        server = self._settings.openai_base_url or "OpenAI"
        try:
            conversation_id = await self._engine.begin(NOBODY, "doctor")
            await self._engine.delete(conversation_id)
        except BotError as error:
            return _refusal(error, f"{server}: ")
        if conversation_id.startswith(REPLAYED):
            return warning(
                f"{self._engine.name} at {server}, which keeps no conversations",
                "none needed: every turn sends the thread's history along, which costs more tokens",
            )
        return ok(f"{self._engine.name} at {server}: a conversation was begun and deleted")

    async def assistant(self) -> Finding:
        """Whether the assistant exists; its model is what answers, unless ours is set."""
        assistant_id = self._settings.openai_assistant_id or ""
        try:
            with vendor_errors(missing="assistant"):
                found = await self._client.beta.assistants.retrieve(assistant_id, timeout=LOOK)
        except BotError as error:
            if isinstance(error, RunFailed) and error.reason == "assistant_not_found":
                mend = "take OPENAI_ASSISTANT_ID from the server's list of assistants"
                return failed(f"the server knows no assistant {assistant_id}", mend)
            return _refusal(error)
        if "openai_model" not in self._settings.model_fields_set:
            self._model = found.model
        return ok(f"{assistant_id} ({found.name or 'without a name'}, {found.model})")

    async def model(self) -> Finding:
        """Whether the model exists and until when."""
        try:
            with vendor_errors(missing="model"):
                found: Any = await self._client.models.retrieve(self._model, timeout=LOOK)
        except RunFailed as error:
            if error.reason == "model_not_found":
                return await self._missing()
            return _refusal(error)
        except BotError as error:
            return _refusal(error)
        return judge_shutdown(self._model, getattr(found, "shutdown_date", None), self._today())

    async def _missing(self) -> Finding:
        """Some servers have no list of models at all: then nothing is said against the name."""
        try:
            with vendor_errors(missing="endpoint"):
                known = [model.id for model in (await self._client.models.list(timeout=LOOK)).data]
        except (BotError, openai.OpenAIError):
            return skipped(f"{self._model}: the server does not tell which models it has")
        near = difflib.get_close_matches(self._model, known, n=3, cutoff=0.4) or known[:3]
        mend = f"set OPENAI_MODEL to one it has: {', '.join(near) or 'it names none'}"
        return failed(f"the server knows no model {self._model}", mend)


def judge_shutdown(model: str, date: str | None, today: datetime.date) -> Finding:
    """`date` is the server's `shutdown_date`, YYYY-MM-DD."""
    try:
        end = datetime.date.fromisoformat(date or "")
    except ValueError:
        return ok(model)
    mend = "set OPENAI_MODEL to its successor"
    if end <= today:
        return failed(f"{model} was shut down on {end}", mend)
    if end - today <= SOON:
        return warning(f"{model} will be shut down on {end}, in {(end - today).days} days", mend)
    return ok(f"{model}, until {end}")


def _refusal(error: BotError, before: str = "") -> Finding:
    if isinstance(error, RunFailed):
        detail = f" ({error.detail})" if error.detail else ""
        mend = _MENDS.get(error.reason, "see the server's own words")
        return failed(f"{before}{error.reason}{detail}", mend)
    if isinstance(error, Retry) and not error.counts:
        return warning(f"{before}it asks us to wait: {error.reason}", "raise the rate limit")
    if isinstance(error, ConversationGone):
        return failed(f"{before}it forgets conversations at once", _MENDS["endpoint_not_found"])
    return failed(f"{before}{error}", _UNREACHABLE)
