"""A workspace's snapshot in a file, so that the workspace survives a restart."""

import json
from pathlib import Path

from local_slack.workspace.model import Json


def load_state(path: Path) -> Json | None:
    """The saved snapshot, or None without a file; raises ValueError for invalid content."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} is not a saved workspace: it holds no JSON") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path} is not a saved workspace")
    return state


def save_state(path: Path, state: Json) -> None:
    """Replace the file atomically: a crash never leaves a partial file."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(state), encoding="utf-8")
    new.replace(path)
