"""No token or key of a workspace is readable in Redis, a backup, the log, an answer or an error."""

import gzip
import io
from pathlib import Path

import pytest

from bot.cli import backup
from bot.cli import workspace_admin as admin
from bot.telemetry import log
from tests.crosstalk import dump
from tests.deployment import open_deployment
from tests.world import wait_until, words

KEY = "sk-own-0123456789abcdef"


async def test_tokens_and_keys_are_readable_nowhere(
    redis_url: str, tmp_path: Path, written: io.StringIO
) -> None:
    log.configure("DEBUG", stream=written)
    async with open_deployment(
        redis_url, tmp_path, teams=("T1", "T2"), rotation=True, bot_attempts=1
    ) as deployment:
        await deployment.install("T1", "T2")
        store, distribution = deployment.bot.store, deployment.distribution
        deployment.fake.options.more_keys = frozenset({KEY})
        await store.workspaces.save_ai_key("T1", KEY)
        assert await deployment.ask("T1", "hi") == "turn 1: hi"
        deployment.fake.options.more_keys = frozenset()  # the server names the key that it refuses
        slack = deployment.slack("T1")
        root = await slack.user("alice").says("#general", "@bot again")

        async def refused() -> bool:
            return bool(await store.dead.list() or slack.replies("#general", root))

        await wait_until(refused)
        with pytest.raises(Exception, match="was not saved") as wrong:
            await admin.change(deployment.settings, "T2", {}, KEY)
        slack.faults.refuse("chat.postMessage", "token_revoked", times=1)
        await slack.user("alice").slash("/bot-help")
        secrets = [KEY, *distribution.tokens, *distribution.refresh_tokens]
        secrets += [distribution.client_secret, distribution.signing_secret]
        stored = [f"{key} {value}" async for key, value in dump(deployment)]
        file = tmp_path / "backup.gz"
        await backup.backup(deployment.settings, file)
        shown = [words(each) for each in slack.messages("#general")]
        shown.append(admin.render(await admin.fetch(deployment.settings)))
    places = {
        "Redis": "\n".join(stored),
        "the backup": gzip.decompress(file.read_bytes()).decode(),
        "the log": written.getvalue(),
        "Slack": "\n".join(shown),
        "an error": str(wrong.value),
    }
    found = [
        (place, each[:8]) for place, text in places.items() for each in secrets if each in text
    ]
    assert found == []
    assert any("T1" in text for text in stored)
