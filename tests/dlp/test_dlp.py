"""What the rules and the service find, and that a check that fails lets nothing through."""

import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from bot.dlp import Dlp, open_dlp
from bot.dlp.checks import open_checks
from bot.dlp.rules import UNCHECKED, Rules, load_rules
from bot.dlp.service import UNNAMED
from bot.errors import ConfigError, DependencyDown
from bot.settings import Settings
from tests.dlp.services import FakeService, open_service

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "dlp.toml"


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, slack_bot_token="xoxb-1", openai_api_key="sk-1", **given)


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with open_service() as opened:
        yield opened


def rules_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dlp.toml"
    path.write_text(text)
    return path


async def test_without_rules_everything_is_allowed() -> None:
    assert await Dlp().find(["4111 1111 1111 1111", ""]) == ["", ""]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("my card is 4111 1111 1111 1111, thanks", "a credit card number"),
        ("4111-1111-1111-1111", "a credit card number"),
        ("4111\u200b1111\u200b1111\u200b1111", "a credit card number"),
        ("４１１１ １１１１ １１１１ １１１１", "a credit card number"),
        ("3782 822463 10005", "a credit card number"),
        ("DE89 3704 0044 0532 0130 00", "an IBAN"),
        ("ssn 078-05-1120", "a US social security number"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII", "a private key"),
        ("ghp_" + "a1" * 18, "an access token"),
        ("this is Company CONFIDENTIAL", "a document marked confidential"),
        ("order 4711, call 555 1234 on 2026-11-27", ""),
        ("thread 1732700000.123456 in C0123ABCD", ""),
    ],
)
async def test_the_rules_of_the_example(text: str, reason: str) -> None:
    rules = Rules(load_rules(EXAMPLES), 5)
    assert await rules.find([text]) == [reason]


async def test_all_rules_that_match_are_named() -> None:
    rules = Rules(load_rules(EXAMPLES), 5)
    [found] = await rules.find(["4111 1111 1111 1111 and 078-05-1120"])
    assert found == "a credit card number, a US social security number"


async def test_a_slow_rule_fails_closed(tmp_path: Path) -> None:
    rules = Rules(load_rules(rules_of(tmp_path, "[slow]\npattern = '^(a|aa)+$'")), 0.2)
    began = time.monotonic()
    found = await rules.find(["a" * 5_000 + "!", "harmless"])
    assert found[0] == UNCHECKED
    assert time.monotonic() - began < 30  # without a limit it takes years


async def test_a_text_of_a_megabyte_is_checked_in_time() -> None:
    rules = Rules(load_rules(EXAMPLES), 5)
    text = "lorem ipsum 4711 dolor-sit amet " * 30_000
    assert await rules.find([text, text + "4111 1111 1111 1111"]) == ["", "a credit card number"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no rule"),
        ("[x]\npattern = '('", "x: missing"),
        ("[x]\npattern = 'a*'", "empty text"),
        ("[x]\nregex = 'a'", "x.pattern"),
        ("x = 'a'", "x"),
        ("nothing", "cannot be read"),
        (f"[{'x' * 200}]\npattern = 'a'", "characters"),
    ],
)
def test_a_wrong_rules_file_stops_the_start(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_rules(rules_of(tmp_path, text))
    assert raised.value.variable == "BOT_DLP_RULES"
    assert problem in raised.value.problem


async def test_the_service_is_asked_once_for_a_text(service: FakeService) -> None:
    given = settings(bot_dlp_url=service.url, bot_dlp_token="t0ken")
    async with open_dlp(given, lambda _: nullcontext()) as dlp:
        assert await dlp.find(["fine", "a secret", "fine"]) == ["", "the word secret", ""]
        assert await dlp.find(["fine"]) == [""]
        assert await dlp.find(["a secret"]) == ["the word secret"]
    assert service.asked == [["fine", "a secret"], ["a secret"]]
    assert set(service.tokens) == {"Bearer t0ken"}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, None),
        (204, b""),
        (302, None),
        (200, b"ok"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"refused": null}'),
        (200, b'{"refused": [{"index": 1}]}'),
        (200, b'{"refused": [{"index": -1}]}'),
        (200, b'{"refused": [{"reason": "x"}]}'),
        (200, b'{"refused": [' + b" " * 1_100_000 + b"]}"),
    ],
)
async def test_any_other_answer_fails_closed(
    service: FakeService, status: int, body: bytes | None
) -> None:
    service.status, service.body = status, body
    async with open_dlp(settings(bot_dlp_url=service.url), lambda _: nullcontext()) as dlp:
        with pytest.raises(DependencyDown):
            await dlp.find(["fine"])


async def test_a_service_that_does_not_answer_fails_closed(service: FakeService) -> None:
    service.delay = 30
    given = settings(bot_dlp_url=service.url, bot_dlp_timeout=0.1)
    async with open_dlp(given, lambda _: nullcontext()) as dlp:
        with pytest.raises(DependencyDown):
            await dlp.find(["fine"])


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("", UNNAMED),
        (', "reason": null', UNNAMED),
        (', "reason": " \\n "', UNNAMED),
        (f', "reason": "{"x" * 5000}"', "x" * 200),
    ],
)
async def test_a_refusal_needs_no_good_reason(
    service: FakeService, reason: str, shown: str
) -> None:
    service.body, service.pieces = f'{{"refused": [{{"index": 0{reason}}}]}}'.encode(), 3
    async with open_dlp(settings(bot_dlp_url=service.url), lambda _: nullcontext()) as dlp:
        assert await dlp.find(["fine"]) == [shown]


async def test_what_a_rule_refuses_does_not_leave_for_the_service(service: FakeService) -> None:
    given = settings(bot_dlp_url=service.url, bot_dlp_rules=EXAMPLES)
    async with open_dlp(given, lambda _: nullcontext()) as dlp:
        await dlp.find(["4111 1111 1111 1111", "fine"])
    assert service.asked == [["fine"]]


async def test_the_doctor_tries_the_rules_and_the_service(
    service: FakeService, tmp_path: Path
) -> None:
    given = settings(bot_dlp_url=service.url, bot_dlp_rules=EXAMPLES)
    assert (await diagnose(given))[0] == "ok"
    service.word = "sentence"
    assert "harmless" in (await diagnose(given))[1]
    service.status = 401
    assert await diagnose(given) == ("failed", "the DLP service: status 401")
    async with open_checks(settings()) as none:
        assert none == []


async def diagnose(given: Settings) -> tuple[str, str]:
    async with open_checks(given) as [check]:
        finding = await check.look()
    return finding.level, finding.text
