"""The checks of the AI server for `bot doctor`: key, model and its shutdown date, a conversation.

None of them generates text, so they cost no tokens.
"""

import datetime
import difflib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from bot.checks import Check, Finding, connection_fix, failed, ok, skipped, warning
from bot.engines import Engine, open_engine
from bot.engines.api import Api
from bot.engines.client import ASSISTANTS, open_client
from bot.engines.items import text
from bot.engines.replay import PREFIX as REPLAYED
from bot.errors import (
    NOT_THE_PROTOCOL,
    BotError,
    ConversationGone,
    DependencyDown,
    Retry,
    RunFailed,
)
from bot.models import Thread
from bot.settings import Settings
from bot.settings.env_file import set_variables
from bot.settings.values import PROTOCOLS, without_password

SOON = datetime.timedelta(days=90)
PROBE_THREAD = Thread("doctor", "doctor", "0")

_FIXES = {
    "authentication": "put a valid key into OPENAI_API_KEY",
    "permission": "the key may not do this: give its project or role the right, or use another key",
    "insufficient_quota": "the account has no credit left: see the server's billing page",
    "endpoint_not_found": "is OPENAI_BASE_URL right (mostly it ends in /v1)? do BOT_ENGINE and "
    "BOT_PROTOCOL fit?",
}
_ANSWERS = {"responses": ("responses",), "chat completions": ("chat", "completions")}
"""The protocols of servers without conversations, with the path of each."""
_UNREACHABLE = "is OPENAI_BASE_URL right, is the server up, may this machine reach it?"
_FAILING = "the server has an error: see its log, or the status page of its host"


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
        if settings.bot_engine not in PROTOCOLS:
            yield (Check("engine", PluginChecks(engine).round_trip),)
            return
        headers = ASSISTANTS if settings.bot_engine == "assistants" else {}
        async with open_client(settings, headers=headers) as client:
            api = Api(client, model=settings.openai_model)
            yield EngineChecks(engine, api, settings, today).all()


async def _echo() -> Finding:
    fix = "set BOT_ENGINE=responses and OPENAI_API_KEY for answers of a model"
    return warning("echo: there is no AI behind it", fix)


class PluginChecks:
    """The check of an engine that a plug-in brings."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def round_trip(self) -> Finding:
        """Begin a conversation and delete it."""
        try:
            await self._engine.delete(await self._engine.begin(PROBE_THREAD, "doctor"))
        except BotError as error:
            return _refusal(error, f"{self._engine.name}: ")
        return ok(f"{self._engine.name}: a conversation was begun and deleted")


class EngineChecks:
    """The checks of one AI server."""

    def __init__(
        self,
        engine: Engine,
        api: Api,
        settings: Settings,
        today: Callable[[], datetime.date],
    ) -> None:
        self._engine = engine
        self._api = api
        self._settings = settings
        self._today = today
        self._model = settings.openai_model

    def all(self) -> tuple[Check, ...]:
        """In the order in which a reader needs them."""
        checks = [Check("engine", self.round_trip)]
        if self._settings.bot_engine == "assistants":
            checks.append(Check("assistant", self.assistant, ("engine",)))
        return (*checks, Check("model", self.model, ("engine",)))

    async def round_trip(self) -> Finding:
        """Begin a conversation and delete it."""
        server = without_password(self._settings.openai_base_url or "OpenAI")
        try:
            conversation_id = await self._engine.begin(PROBE_THREAD, "doctor")
            await self._engine.delete(conversation_id)
            if conversation_id.startswith(REPLAYED):
                protocol = await self._protocol()
                if self._settings.bot_protocol != "auto":
                    return ok(f"{protocol} at {server}, as BOT_PROTOCOL asks")
                return warning(
                    f"{protocol} at {server}, which keeps no conversations",
                    "none needed: every turn sends the thread's history along, "
                    "which costs more tokens",
                )
        except BotError as error:
            finding = _refusal(error, f"{server}: ", self._settings.openai_base_url or "https:")
            finding = await self._with_address(finding, error)
            return await self._with_protocol(finding, error)
        return ok(f"{self._engine.name} at {server}: a conversation was begun and deleted")

    async def _with_address(self, finding: Finding, error: BotError) -> Finding:
        """The finding, with the right address if the server has its API at another path."""
        base = self._settings.openai_base_url
        if base is None or not _is_no_api(error):
            return finding
        for candidate in guess_addresses(base):
            if await self._serves_models(candidate):
                shown = without_password(candidate)
                done = f"set OPENAI_BASE_URL={shown}"
                repair = set_variables({"OPENAI_BASE_URL": candidate}, done)
                text = f"{without_password(base)} serves no API, but {shown} does"
                return failed(text, done, repair)
        return finding

    async def _with_protocol(self, finding: Finding, error: BotError) -> Finding:
        """The finding. If only conversations are refused, it names the setting without them."""
        is_refused = isinstance(error, RunFailed) and error.reason in ("permission", "bad_request")
        is_broken = isinstance(error, Retry) and error.reason.startswith("status 5")
        if self._settings.bot_protocol != "auto" or not (is_refused or is_broken):
            return finding
        try:
            protocol = await self._protocol(certain=True)
        except BotError:
            return finding
        name = "responses" if protocol == "responses" else "chat"
        return replace(finding, fix=f"{finding.fix}; without conversations: BOT_PROTOCOL={name}")

    async def _serves_models(self, base: str) -> bool:
        try:
            client = self._api.client.with_options(base_url=base)
            answer = await Api(client).get("models", missing="endpoint")
        except RunFailed as error:
            return error.reason in ("authentication", "permission")
        except BotError:
            return False
        return isinstance(answer.get("data"), list)

    async def _protocol(self, *, certain: bool = False) -> str:
        """How a server without conversations is asked, by requests that it has to refuse.

        Servers may fail with 5xx instead, unless it has to be `certain`.
        """
        for name, path in _ANSWERS.items():
            is_wanted = name.startswith(self._settings.bot_protocol)
            if (is_wanted or self._settings.bot_protocol == "auto") and await self._has(
                path, certain
            ):
                return name
        raise RunFailed("failed", "endpoint_not_found")

    async def _has(self, path: tuple[str, ...], certain: bool) -> bool:
        """Whether there is such an endpoint. Raises for a wrong key or no connection."""
        try:
            answer = await self._api.post(*path, body={}, missing="endpoint")
        except RunFailed as error:
            if error.reason in ("authentication", "permission", "insufficient_quota"):
                raise
            return error.reason != "endpoint_not_found"
        except Retry as error:
            if error.reason.startswith("status 5") and not certain:
                return True
            raise
        return "error" not in answer  # LM Studio answers 200 to unknown paths

    async def assistant(self) -> Finding:
        """Whether the assistant exists; its model is what answers, unless ours is set."""
        assistant_id = self._settings.openai_assistant_id or ""
        try:
            found = await self._api.get("assistants", assistant_id, missing="assistant")
        except BotError as error:
            if isinstance(error, RunFailed) and error.reason == "assistant_not_found":
                fix = "take OPENAI_ASSISTANT_ID from the server's list of assistants"
                return failed(f"the server knows no assistant {assistant_id}", fix)
            return _refusal(error)
        model = text(found.get("model"))
        if "openai_model" not in self._settings.model_fields_set:
            self._model = model
        return ok(f"{assistant_id} ({text(found.get('name')) or 'without a name'}, {model})")

    async def model(self) -> Finding:
        """Whether the model exists and until when."""
        try:
            found = await self._api.get("models", self._model, missing="model")
        except RunFailed as error:
            if error.reason in ("model_not_found", "endpoint_not_found"):
                return await self._listed()
            return _refusal(error)
        except BotError as error:
            return _refusal(error)
        return judge_shutdown(self._model, text(found.get("shutdown_date")), self._today())

    async def _listed(self) -> Finding:
        """Check the list of models: many servers have no page per model."""
        try:
            known = [text(model.get("id")) for model in await self._api.all("models")]
        except BotError:
            known = []
        if not known:
            return skipped(f"{self._model}: the server does not say which models it has")
        if self._model in known or f"{self._model}:latest" in known:
            return ok(self._model)
        near = difflib.get_close_matches(self._model, known, n=3, cutoff=0.4) or known[:3]
        fix = f"set OPENAI_MODEL to one it has: {', '.join(near)}"
        if len(known) == 1 and await self._serves_any_name(known[0]):
            return warning(f"the server lists only {known[0]}, not {self._model}", fix)
        return failed(f"the server knows no model {self._model}", fix)

    async def _serves_any_name(self, known: str) -> bool:
        """Whether a server with one model answers under any name, like llama.cpp's.

        It has no page for its own model, and accepts our name in a request that it must refuse
        anyway.
        """
        try:
            await self._api.get("models", known, missing="model")
        except BotError:
            pass
        else:
            return False
        for path in _ANSWERS.values():
            try:
                await self._api.post(*path, body={"model": self._model}, missing="endpoint")
            except RunFailed as error:
                if error.reason == "model_not_found":
                    return False
            except BotError:
                continue
        return True


def _is_no_api(error: BotError) -> bool:
    """Whether something answers, but not the API: a 404, or a page."""
    if isinstance(error, RunFailed):
        return error.reason == "endpoint_not_found"
    is_page = isinstance(error, Retry) and error.reason.startswith(NOT_THE_PROTOCOL)
    return is_page or isinstance(error, ConversationGone)


def guess_addresses(base: str) -> list[str]:
    """Where else the API may be: below `/v1`, or above the path of one of its endpoints."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}"
    before, found, _ = path.partition("/v1")
    guesses = [f"{root}{before}/v1"] if found else [f"{root}{path}/v1"]
    guesses += [f"{root}/v1", f"{root}/api/v1", f"{root}/openai/v1"]
    return [guess for guess in dict.fromkeys(guesses) if guess != base.rstrip("/")]


def judge_shutdown(model: str, date: str, today: datetime.date) -> Finding:
    """`date` is the server's `shutdown_date`, YYYY-MM-DD; empty if it names none."""
    try:
        end = datetime.date.fromisoformat(date)
    except ValueError:
        return ok(model)
    fix = "set OPENAI_MODEL to its successor"
    if end <= today:
        return failed(f"{model} was shut down on {end}", fix)
    if end - today <= SOON:
        return warning(f"{model} will be shut down on {end}, in {(end - today).days} days", fix)
    return ok(f"{model}, until {end}")


def _refusal(error: BotError, before: str = "", url: str = "") -> Finding:
    if isinstance(error, RunFailed):
        detail = f" ({error.detail})" if error.detail else ""
        fix = _FIXES.get(error.reason, "see the server's error message")
        return failed(f"{before}{error.reason}{detail}", fix)
    if isinstance(error, DependencyDown) and str(error).startswith("status 5"):
        return failed(f"{before}{error}", _FAILING)
    if isinstance(error, DependencyDown):
        fix = connection_fix(error, "OPENAI_BASE_URL", url, _UNREACHABLE)
        return failed(f"{before}{error}", fix)
    if isinstance(error, Retry) and not error.counts:
        return warning(f"{before}it asks us to wait: {error.reason}", "raise the rate limit")
    if isinstance(error, ConversationGone):
        return failed(f"{before}it forgets conversations at once", _FIXES["endpoint_not_found"])
    return failed(f"{before}{error}", _UNREACHABLE)
