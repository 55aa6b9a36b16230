"""`bot doctor` on AI servers with one fault each: it names the fault and the fix."""

import datetime
from pathlib import Path
from typing import Any

import pytest

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot.checks import Finding, root_cause
from bot.errors import ConfigError
from tests.fakes.openai import FakeOpenAI, open_fake_openai
from tests.ops.deployments import examine_engine, findings, settings
from tests.ops.servers import open_page, open_tls_port


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_complete_engine_passes_and_leaves_nothing_behind(
    fake: FakeOpenAI, engine: str
) -> None:
    found = await examine_engine(fake, bot_engine=engine)
    assert {finding.level for finding in found.values()} == {"ok"}
    assert not fake.conversations
    assert not fake.threads
    assert fake.created("/responses") == 0


async def test_the_echo_engine_says_that_there_is_no_ai(fake: FakeOpenAI, tmp_path: Path) -> None:
    found = await examine_engine(fake, bot_engine="echo", bot_state_dir=tmp_path)
    assert found["engine"].level == "warning"


async def test_a_state_directory_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    (tmp_path / "echo.db").mkdir()
    for directory in (file, tmp_path):
        given = settings(bot_engine="echo", bot_state_dir=directory)
        with pytest.raises(ConfigError, match="BOT_STATE_DIR"):
            await findings(bot.engines.checks.open_checks(given))


async def test_a_wrong_key_is_reported_once(fake: FakeOpenAI) -> None:
    found = await examine_engine(fake, openai_api_key="sk-wrong")
    assert found["engine"].level == "failed"
    assert "OPENAI_API_KEY" in found["engine"].fix
    assert found["model"].level == "skipped"
    assert "sk-wrong" not in str(found)


async def test_an_empty_account_is_reported(fake: FakeOpenAI) -> None:
    fake.fault("quota", times=None)
    found = await examine_engine(fake)
    assert found["engine"].level == "failed"
    assert "billing" in found["engine"].fix


async def test_an_unreachable_server_is_reported() -> None:
    given = settings(openai_base_url="http://127.0.0.1:1/v1")
    found = await findings(bot.engines.checks.open_checks(given))
    assert found["engine"].level == "failed"
    assert "OPENAI_BASE_URL" in found["engine"].fix


def test_a_circle_of_errors_has_a_root_cause() -> None:
    first, second = ValueError(), OSError()
    first.__cause__, second.__context__ = second, first
    assert root_cause(first) is second


async def test_a_wrong_scheme_is_no_unreachable_server() -> None:
    async with open_page() as page:
        found = await examine_server(page.replace("http:", "https:"))
    assert found.fix == "the port speaks no TLS: begin OPENAI_BASE_URL with http://"


@pytest.mark.parametrize(
    ("scheme", "words"), [("https", "SSL_CERT_FILE"), ("http", "begin OPENAI_BASE_URL with https")]
)
async def test_a_server_with_its_own_certificate_is_recognized(
    tmp_path: Path, scheme: str, words: str
) -> None:
    async with open_tls_port(tmp_path) as port:
        found = await examine_server(f"{scheme}://127.0.0.1:{port}/v1")
    assert found.level == "failed"
    assert words in found.fix


async def examine_server(url: str) -> Finding:
    given = settings(openai_base_url=url)
    return (await findings(bot.engines.checks.open_checks(given)))["engine"]


async def test_an_error_of_the_server_is_no_missing_connection(fake: FakeOpenAI) -> None:
    fake.fault("overloaded", times=None)
    assert "the server has an error" in (await examine_engine(fake))["engine"].fix


async def test_a_missing_model_is_reported_with_the_available_ones() -> None:
    async with open_fake_openai(models={"gpt-6-luna": None, "o9": None}) as fake:
        found = await examine_engine(fake, openai_model="gpt-6-lunar")
    assert found["model"].level == "failed"
    assert "gpt-6-luna" in found["model"].fix


@pytest.mark.parametrize(
    ("days", "level"), [(-1, "failed"), (30, "warning"), (400, "ok")], ids=["over", "soon", "far"]
)
async def test_the_shutdown_of_a_model_is_reported_in_time(days: int, level: str) -> None:
    date = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)
    async with open_fake_openai(models={"gpt-6-luna": date.isoformat()}) as fake:
        found = await examine_engine(fake)
    assert found["model"].level == level
    assert date.isoformat() in found["model"].text


async def test_a_server_without_conversations_is_a_warning() -> None:
    async with open_fake_openai(variant="no_conversations") as fake:
        found = await examine_engine(fake)
    assert found["engine"].level == "warning"


async def test_the_protocol_of_a_server_without_conversations_is_detected() -> None:
    for variant, name in (("no_conversations", "responses"), ("chat_completions", "chat")):
        async with open_fake_openai(variant=variant) as fake:
            found = await examine_engine(fake)
        assert found["engine"].level == "warning"
        assert name in found["engine"].text
        assert fake.created("/responses") == fake.created("/chat/completions") == 0


@pytest.mark.parametrize(
    ("status", "message", "level", "fix"),
    [
        (400, "conversations are not supported", "warning", "none needed"),
        (400, "no", "failed", "BOT_PROTOCOL=responses"),
        (403, "no", "failed", "BOT_PROTOCOL=responses"),
        (500, "no", "failed", "BOT_PROTOCOL=responses"),
    ],
)
async def test_a_server_may_refuse_conversations_in_its_own_way(
    fake: FakeOpenAI, status: int, message: str, level: str, fix: str
) -> None:
    fake.fault("error", "POST", "/conversations", status=status, message=message, times=None)
    found = (await examine_engine(fake))["engine"]
    assert found.level == level
    assert fix in found.fix
    if status == 500:
        fake.fault("error", "POST", "/responses", status=status, message=message, times=None)
        fake.fault("error", "POST", "/chat/completions", status=500, message="no", times=None)
        assert "BOT_PROTOCOL" not in (await examine_engine(fake))["engine"].fix


async def test_only_the_configured_protocol_is_detected() -> None:
    async with open_fake_openai() as fake:
        assert (await examine_engine(fake, bot_protocol="chat"))["engine"].level == "ok"
    async with open_fake_openai(variant="chat_completions") as fake:
        found = await examine_engine(fake, bot_protocol="responses")
    assert found["engine"].level == "failed"
    assert "BOT_PROTOCOL" in found["engine"].fix


@pytest.mark.parametrize("variant", ["openai", "no_conversations", "chat_completions"])
async def test_an_address_without_v1_is_reported(variant: str) -> None:
    async with open_fake_openai(variant=variant) as fake:
        found = await examine_engine(fake, openai_base_url=fake.base_url.removesuffix("/v1"))
    assert found["engine"].level == "failed"
    assert "/v1" in found["engine"].fix


@pytest.mark.parametrize("variant", ["no_conversations", "chat_completions"])
async def test_a_key_that_only_the_answers_need_is_checked(variant: str) -> None:
    async with open_fake_openai(variant=variant) as fake:
        path = "/responses" if variant == "no_conversations" else "/chat/completions"
        fake.fault("error", "POST", path, status=401, message="no key", times=None)
        found = await examine_engine(fake)
    assert found["engine"].level == "failed"
    assert "OPENAI_API_KEY" in found["engine"].fix


async def test_a_key_refused_with_status_400_is_reported() -> None:
    async with open_fake_openai(variant="no_conversations") as fake:
        fake.fault("error", "*", "/responses", code="invalid_api_key", message="No.", times=None)
        found = await examine_engine(fake)
    assert found["engine"].level == "failed"
    assert "OPENAI_API_KEY" in found["engine"].fix


async def test_a_model_that_is_only_in_the_list_passes() -> None:
    models: dict[str, Any] = {"gpt-6-luna": None, "tiny:latest": None}
    async with open_fake_openai(variant="llama_cpp", models=models) as fake:
        for model in ("gpt-6-luna", "tiny"):
            assert (await examine_engine(fake, openai_model=model))["model"].level == "ok"
        found = await examine_engine(fake, openai_model="huge")
    assert found["model"].level == "failed"
    assert "gpt-6-luna" in found["model"].fix


async def test_the_only_model_of_a_server_may_have_any_name() -> None:
    async with open_fake_openai(variant="llama_cpp", models={"tiny.gguf": None}) as fake:
        found = await examine_engine(fake, openai_model="huge")
        assert found["model"].level == "failed"
        for path in ("/responses", "/chat/completions"):
            fake.fault("error", "POST", path, message="'messages' is required", times=None)
        found = await examine_engine(fake, openai_model="huge")
    assert found["model"].level == "warning"
    assert "tiny.gguf" in found["model"].fix


async def test_a_missing_assistant_is_reported(fake: FakeOpenAI) -> None:
    found = await examine_engine(fake, bot_engine="assistants", openai_assistant_id="asst_no")
    assert found["assistant"].level == "failed"
    assert "OPENAI_ASSISTANT_ID" in found["assistant"].fix
