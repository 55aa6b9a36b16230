"""A deployment of an earlier version, recorded mid-traffic: what was in Redis, in Slack, and on the
AI server at one moment. `tests/data/previous_version/README.md` says how it was made."""

import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from redis import Redis

from tests.fakes.openai import Answer, FakeOpenAI
from tests.fakes.openai.response_work import ResponseWork
from tests.fakes.openai.run_work import RunWork
from tests.fakes.openai.state import Conversation, Thread

Json = dict[str, Any]
DIRECTORY = Path(__file__).parent / "data" / "previous_version"
DOWN = 60
"""Seconds between the recorded moment and now: how long the upgrade took."""
SECONDS = re.compile(r"\b1795\d{6}(?=\d{3}-\d|\.\d|\b)")
"""A point in time within the recording: epoch seconds, a Slack `ts`, an id of a stream."""


@dataclass(frozen=True)
class Recording:
    """A recording, moved in time so that its moment was `DOWN` seconds ago.

    `day` is the day of its usage, which stays. `prefix` is that of its keys.
    """

    state: Json
    prefix: str
    streamed: bool
    day: date

    @property
    def engine(self) -> str:
        return str(self.state["engine"])

    @property
    def known_runs(self) -> set[str]:
        """The runs under way whose ids are in a journal."""
        journals = json.dumps(self.state["redis"])
        ids = {
            work["body"]["id"]
            for work in self.state["ai"]["works"]
            if (self.state["ai"]["body"] | work["body"])["status"] == "in_progress"
        }
        return {id for id in ids if id in journals}

    @property
    def threads(self) -> dict[str, tuple[str, str]]:
        """The threads by name, as (channel, thread_ts)."""
        return {name: (channel, ts) for name, (channel, ts) in self.state["threads"].items()}

    @property
    def slack(self) -> Json:
        """A snapshot of the workspace."""
        blank = {"thread_ts": None, "stream": None}
        messages = [blank | message for message in self.state["slack"]["messages"]]
        workspace: Json = self.state["slack"]
        return workspace | {"messages": messages}

    def fill_redis(self, client: Redis) -> None:
        """Write all keys."""
        for key, entry in self.state["redis"].items():
            _write(client, key, entry["type"], entry["value"])
            if entry["ttl"] > 0:
                client.pexpire(key, entry["ttl"])

    def fill_ai(self, fake: FakeOpenAI) -> None:
        """Restore conversations and runs; running ones are held at the same point."""
        ai = self.state["ai"]
        fake.assistants[self.state["assistant"]] = fake.assistants.pop(fake.assistant_id)
        fake.assistant_id = self.state["assistant"]
        fake.assistants[fake.assistant_id]["id"] = fake.assistant_id
        for each in ai["conversations"]:
            fake.conversations[each["id"]] = Conversation(
                each["id"], each["metadata"], each["created_at"], each["items"]
            )
        for each in ai["threads"]:
            fake.threads[each["id"]] = Thread(
                *(each["id"], each["metadata"], each["created_at"], each["tool_resources"]),
                messages=each["messages"],
                runs=each["runs"],
            )
        for work in ai["works"]:
            _add_work(fake, work, ai["body"] | work["body"])


def load_recording(name: str, prefix: str) -> Recording:
    """The recording of this name; `prefix` takes the place of the prefix of its keys."""
    text = (DIRECTORY / f"{name}.json").read_text()
    at = json.loads(text)["at"]
    later = int(time.time()) - DOWN - int(at)
    text = SECONDS.sub(lambda match: str(int(match[0]) + later), text)
    state = json.loads(text.replace("{bot}:", f"{{{prefix}}}:"))
    day = datetime.fromtimestamp(at, UTC).date()
    return Recording(state, prefix, name.endswith("streamed"), day)


def _write(client: Redis, key: str, type: str, value: Any) -> None:
    match type:
        case "string":
            client.set(key, value)
        case "hash":
            client.hset(key, mapping=value)
        case "list":
            client.rpush(key, *value)
        case "set":
            client.sadd(key, *value)
        case "zset":
            client.zadd(key, {member: float(score) for member, score in value})
        case "stream":
            _write_stream(client, key, value)
        case other:
            raise ValueError(other)


def _write_stream(client: Redis, key: str, value: Json) -> None:
    for id, fields in value["entries"]:
        client.xadd(key, fields, id=id)
    for group in value["groups"]:
        client.xgroup_create(key, group["name"], id="0", mkstream=True)
        for entry, consumer in group["pending"]:
            client.xclaim(key, group["name"], consumer, 0, [entry], force=True, justid=True)
        client.xgroup_setid(key, group["name"], group["last"])


def _add_work(fake: FakeOpenAI, work: Json, body: Json) -> None:
    answer = Answer(**work["answer"])
    if work["kind"] == "run":
        thread = fake.threads.get(work["in"]) or Thread(
            work["in"], {}, 0, {}
        )  # where it is deleted
        run = RunWork(fake, answer, body, thread, streams=work["streams"], prompt_tokens=1)
        run.steps = work["steps"]
        fake.runs[run.id] = run
        _carry_on(run)
        return
    response = ResponseWork(
        fake,
        answer,
        body,
        given=work.get("given", []),
        memory=[],
        conversation=fake.conversations.get(work["in"]),  # None if it is deleted
        streams=work["streams"],
        stored=work["stored"],
    )
    fake.responses[response.id] = response
    if not response.is_over:
        fake.conversations[work["in"]].active = response
    _carry_on(response)


def _carry_on(work: RunWork | ResponseWork) -> None:
    """Emit the events so far again, as numbered as they were, and work on."""
    if not work.is_over:
        work.open()
        work.start()
