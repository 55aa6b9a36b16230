"""The drill of docs/how-to/backup.md: a backup is restored after a loss of all data."""

from pathlib import Path

from click.testing import CliRunner

from bot.cli import backup as backup_
from bot.cli.main import commands
from tests.fakes.openai.answers import slow
from tests.redis_server import RedisServer
from tests.stories.test_ai_faults import CONVERSATIONS, runs
from tests.stories.test_restored_redis import QUESTIONS, TIMING, ask_all
from tests.world import open_world

ANSWER = "The first sentence of an answer. " * 20


async def test_a_restored_backup_repeats_and_forgets_nothing(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """The backup was made while answers were under way. They were completed before the loss."""
    file = tmp_path / "backup.gz"
    async with open_world(
        redis_server.url, tmp_path / "state", socket_mode=False, timing=TIMING
    ) as world:
        world.fake.answer = slow("Noted.", 0)
        rested = await world.ask("#general", "@bot my name is Ada")
        world.fake.answer = slow(ANSWER, 0.8)
        roots = await ask_all(world)
        await world.slack.wait_for(lambda: runs(world) == QUESTIONS + 1)
        assert str(file) in await backup_.backup(world.settings, file)
        for root in roots:
            await world.replies("#general", root)
        await world.processes.aclose()
        with redis_server.client() as client:
            client.flushall()

        assert "are restored" in await backup_.restore(world.settings, file)
        world = await world.replaced()
        for root in roots:
            await world.rests("#general", root)
        assert [len(world.slack.replies("#general", root)) for root in roots] == [1] * QUESTIONS
        assert runs(world) == QUESTIONS + 1, "no question was asked twice"
        await world.ask("#general", "what is my name?", thread_ts=rested)
        assert world.fake.prompts[-1].user_messages[0].endswith("my name is Ada")
        assert world.fake.created(CONVERSATIONS["responses"]) == QUESTIONS + 1


def test_a_file_that_cannot_be_used_ends_the_command(tmp_path: Path, redis_url: str) -> None:
    environment = {
        "REDIS_URL": redis_url,
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_APP_TOKEN": "xapp-1",
        "BOT_ENGINE": "echo",
    }
    result = CliRunner().invoke(commands, ["restore", str(tmp_path / "x")], env=environment)
    assert result.exit_code == 1
    assert "there is no file" in result.output


def test_backups_in_a_folder_are_named_by_the_time_and_old_ones_deleted(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    names = ("threadbot-20200101T000000Z.gz", "threadbot-20200101T000000Z.gz.partial")
    kept = ("threadbot-29990101T000000Z.gz", "notes.txt", "threadbot-latest.gz")
    for name in (*names, *kept):
        (tmp_path / name).write_text("")
    env = {
        **{"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "OPENAI_API_KEY": "sk-1"},
        **{"REDIS_URL": redis_server.url, "BOT_REDIS_PREFIX": "folder"},
    }
    runner, old = CliRunner(), ["backup", str(tmp_path), "--keep-days", "30"]
    assert runner.invoke(commands, ["hold", "begin"], env=env).exit_code == 0
    held = runner.invoke(commands, old, env=env)
    assert "A legal hold is on" in held.output
    assert {each.name for each in tmp_path.iterdir()} > {*names, *kept}
    made = {each.name for each in tmp_path.iterdir()} - {*names, *kept}
    for name in made:  # the next one may be made within the same second
        (tmp_path / name).unlink()
    assert runner.invoke(commands, ["hold", "end"], env=env).exit_code == 0
    done = runner.invoke(commands, old, env=env)
    assert "2 older backups were deleted" in done.output, done.output
    left = {each.name for each in tmp_path.iterdir()}
    assert left > {*kept}
    assert not left & {*names}
    wrong = runner.invoke(commands, ["backup", str(tmp_path / "file"), "--keep-days", "3"], env=env)
    assert wrong.exit_code == 2
