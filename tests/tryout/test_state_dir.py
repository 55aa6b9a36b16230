"""`bot try` deletes the files that it wrote, and nothing else."""

import errno
import os
from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.tryout.state_dir import MARKER, open_state_dir


def write(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)


def contents(directory: Path) -> set[str]:
    found = (path for path in directory.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(directory)) for path in found}


def test_fresh_deletes_by_name_and_keeps_other_files(tmp_path: Path) -> None:
    with open_state_dir(tmp_path / "state", fresh=False) as directory:
        assert contents(directory) == {MARKER}
    write(directory, "slack.json", "page.json", "echo.db", "echo.db-wal", "workspaces.json")
    write(directory, "fail-next-run", "workspaces.json.new")
    write(directory, "redis/redis.log", "redis/dump.rdb", "redis/appendonlydir/appendonly.aof.1.x")
    foreign = {"notes.txt", "redis/mine.txt", "redis/appendonlydir/mine", "folder/slack.json"}
    write(directory, *foreign)
    with open_state_dir(directory, fresh=True):
        assert contents(directory) == foreign | {MARKER}


def test_without_fresh_everything_stays(tmp_path: Path) -> None:
    write(tmp_path, "slack.json", "redis/dump.rdb")
    with open_state_dir(tmp_path, fresh=False):
        assert contents(tmp_path) == {"slack.json", "redis/dump.rdb", MARKER}


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path, fresh: bool) -> None:
    written = {"slack.json", "thesis.tex", "redis/dump.rdb"}
    write(tmp_path, *written)
    with (
        pytest.raises(ConfigError, match=r"did not write \(thesis\.tex\)"),
        open_state_dir(tmp_path, fresh=fresh),
    ):
        pass
    assert contents(tmp_path) == written


def test_a_folder_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    write(tmp_path, "slack.json", "page.json", "redis/lock", "redis/dump.rdb", "echo.db")
    with open_state_dir(tmp_path, fresh=True):
        assert contents(tmp_path) == {MARKER}


def test_links_are_deleted_and_their_targets_stay(tmp_path: Path) -> None:
    write(outside := tmp_path / "outside", "slack.json", "dump.rdb", "appendonly.aof.1")
    with open_state_dir(directory := tmp_path / "state", fresh=False):
        (directory / "slack.json").symlink_to(outside / "slack.json")
        (directory / "redis").symlink_to(outside)
    with open_state_dir(directory, fresh=True):
        assert contents(directory) == {MARKER}
        (directory / "redis").mkdir()
        (directory / "redis" / "appendonlydir").symlink_to(outside)
    with open_state_dir(directory, fresh=True):
        assert contents(outside) == {"slack.json", "dump.rdb", "appendonly.aof.1"}


def test_fresh_refuses_a_folder_that_is_in_use(tmp_path: Path) -> None:
    with open_state_dir(tmp_path, fresh=False):
        write(tmp_path, "slack.json")
        with (
            pytest.raises(ConfigError, match="in use by process"),
            open_state_dir(tmp_path, fresh=True),
        ):
            pass
        assert (tmp_path / "slack.json").exists()


def test_a_path_that_is_not_a_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path, "file")
    with (
        pytest.raises(ConfigError, match=r"BOT_STATE_DIR: .*file cannot be used: File exists"),
        open_state_dir(tmp_path / "file", fresh=False),
    ):
        pass


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """The error of a write names the reason, but not the file."""
    with (
        pytest.raises(ConfigError, match=f"{tmp_path} cannot be used: No space left on device"),
        open_state_dir(tmp_path, fresh=False),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
