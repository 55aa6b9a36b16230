"""The fixtures of the installed package."""

import pytest

pytest_plugins = ["pytester"]

USE = """
from slack_sdk.web.async_client import AsyncWebClient

async def test_the_fixture_provides_a_workspace(local_slack):
    client = AsyncWebClient(token=local_slack.bot_token, base_url=local_slack.api_url)
    await client.chat_postMessage(channel=local_slack.channel("#general").id, text="hello")
    assert local_slack.messages("#general")[0].text == "hello"
    assert local_slack.user("{user}").id
"""
HIDE = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "pytest_asyncio" else found(name)
"""
OPTIONS = """
import pytest

@pytest.fixture
def local_slack_options():
    return {"users": ["dana"]}
"""


def test_a_test_gets_a_running_workspace_with_its_own_options(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USE.replace("{user}", "alice"))
    (special := pytester.path / "special").mkdir()
    (special / "conftest.py").write_text(OPTIONS)
    (special / "test_dana.py").write_text(USE.replace("{user}", "dana"))
    result = pytester.runpytest_subprocess("-o", "asyncio_mode=auto", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)


def test_a_missing_async_plugin_is_reported_with_its_package(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("")
    pytester.makepyfile("def test_it(local_slack): pass")
    pytester.makepyfile(hide=HIDE)
    result = pytester.runpytest_subprocess(
        *("-p", "no:asyncio", "-p", "no:cacheprovider", "-p", "hide"),
        *("-p", "no:local_slack", "-p", "local_slack.pytest_plugin"),
    )
    result.stdout.fnmatch_lines(["*pip install 'threadbot-local-slack?pytest?'*"])
