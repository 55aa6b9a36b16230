"""The packages under `examples/`: installed by pip, found by the bot, and working."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import bot.engines.checks
from bot import plugins
from bot.cli.main import commands
from bot.engines import open_engine
from bot.errors import ConfigError
from bot.slack.surfaces.commands import all_commands
from bot.tools.own import own_tools
from tests.engines.engines import ask, begin
from tests.fakes.openai import Call, calling
from tests.ops.builds import install_into
from tests.ops.deployments import findings, settings
from tests.ops.processes import ROOT
from tests.stories.tools import script
from tests.world import open_world

EXAMPLES = ROOT / "examples"
ENTRY = '[[entry]]\nwords = ["vpn"]\nanswer = "Install the client."\n'


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, as pip installs them."""
    folder = tmp_path_factory.mktemp("examples")
    names = ("parrot-command", "faq-engine", "dice-tool")
    sources = [shutil.copytree(EXAMPLES / name, folder / name) for name in names]
    return install_into(folder / "installed", *sources)


@pytest.fixture
def plugged_in(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder in which the packages are found."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(installed)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("threadbot_"):
            del sys.modules[name]


async def test_the_command_is_in_the_manifest_and_answers(plugged_in: Path, redis_url: str) -> None:
    assert "command: /parrot" in CliRunner().invoke(commands, ["manifest"]).output
    async with open_world(redis_url, plugged_in, engine="echo") as world:
        alice = world.slack.user("alice")
        await alice.slash("/parrot", "hello")
        [answer] = alice.ephemerals("#general")
    assert answer.text == "You said: hello"


async def test_the_engine_answers_and_passes_the_doctor(
    plugged_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plugged_in / "faq.toml").write_text(ENTRY)
    given: Any = settings(bot_engine="faq", openai_api_key=None, bot_state_dir=plugged_in)
    async with open_engine(given) as engine:
        conversation = await begin(engine)
        answer = await ask(engine, conversation, "How do I use the VPN?")
        assert answer.text == "Install the client."
        conversation = await begin(engine)
        answer = await ask(engine, conversation, "And the printer?")
        assert answer.text == "I do not know that one."
    found = await findings(bot.engines.checks.open_checks(given))
    assert found["engine"].level == "ok"
    monkeypatch.setenv("FAQ_FILE", "nowhere.toml")
    with pytest.raises(ConfigError, match="FAQ_FILE"):
        async with open_engine(given):
            pass


async def test_the_tool_is_called_by_the_model(plugged_in: Path, redis_url: str) -> None:
    tools = plugged_in / "tools.toml"
    tools.write_text('own = ["roll_dice"]\n')
    async with open_world(redis_url, plugged_in, bot_tools=tools) as world:
        world.fake.answer = script(calling(Call("roll_dice", '{"count": 3, "sides": 2}')))
        root = await world.ask("#general", "@bot roll")
        [rolled] = await world.replies("#general", root)
        assert set(rolled.split()) <= {"1", "2"}
        world.fake.answer = script(calling(Call("roll_dice", '{"count": 1000}')))
        root = await world.ask("#general", "@bot roll many")
        [refused] = await world.replies("#general", root)
        assert "from 1 to 100 dice" in refused


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="responses, assistants, echo"):
        settings(bot_engine="faq")


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs a package, in place of the one before it, with the lines of its entry points."""

    def offered(lines: str) -> None:
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        folder = path / "broken-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(lines)
        monkeypatch.syspath_prepend(path)

    return offered


def test_a_broken_plug_in_is_named(offer: Callable[[str], None]) -> None:
    offer("[threadbot.commands]\noops = no_such_module:COMMAND\n")
    with pytest.raises(ConfigError, match="no_such_module"):
        all_commands()
    offer("[threadbot.commands]\nreset = bot.slack.surfaces.commands.reset:COMMAND\n")
    with pytest.raises(ConfigError, match="taken"):
        all_commands()
    offer("[threadbot.tools]\nshout = bot.tools.own.current_time:TOOL\n")
    with pytest.raises(ConfigError, match="no tool of that name"):
        own_tools(["shout"])
    with pytest.raises(ConfigError, match="shout"):
        own_tools(["whistle"])
    with pytest.raises(ConfigError, match="no installed package"):
        plugins.load(plugins.ENGINES, "oops")
