"""The verdict on a deployment: lost, duplicated and reordered messages, in it and in Slack."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from bot.slack.answer.reply import METADATA_EVENT
from bot.turn.reordering import MOST_TIMES
from local_slack.workspace.model import Message
from tests.chaos.deployment import WORD, Deployment, Said
from tests.world import words

UNKNOWN = "unknown "
BROKEN_PROMISES = "BROKEN_PROMISES"
"""Environment variable: a file to which complaints are appended."""


@dataclass
class Verdict:
    """Counts, and one line per broken guarantee."""

    messages: int = 0
    threads: int = 0
    runs: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    given_up: int = 0
    """Messages that Slack could not deliver in any attempt."""
    never_called: int = 0
    """Messages in threads whose opening mention Slack gave up: they are not for the bot."""
    delivered_late: int = 0
    """Messages that Slack delivered after a later one of their thread: the later one may be
    answered first."""
    second_runs: int = 0
    restarted: int = 0
    """Runs that were cancelled because an older message arrived."""
    failed_runs_repeated: int = 0
    """Runs that failed on the server while their id was lost, so that they cannot be found."""
    answers_lost: int = 0
    answers_doubled: int = 0
    answers_cut: int = 0
    answers_reordered: int = 0
    unmarked: int = 0
    unanswered: int = 0
    stuck: int = 0
    dead: int = 0
    complaints: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    """For each thread with a complaint: its state in Redis, and its deliveries."""

    @property
    def is_clean(self) -> bool:
        """Whether all guarantees hold."""
        return not self.complaints

    def complain(self, count: str, what: str) -> None:
        setattr(self, count, getattr(self, count) + 1)
        self.complaints.append(f"{count}: {what}")

    def __str__(self) -> str:
        counts = {k: v for k, v in vars(self).items() if isinstance(v, int)}
        lines = [", ".join(f"{name} {count}" for name, count in counts.items())]
        return "\n".join([*lines, *self.complaints[:40], *self.evidence[:60]])


async def judge(deployment: Deployment) -> Verdict:
    """Judge the deployment once it is idle."""
    verdict = Verdict(messages=len(deployment.said), threads=len(deployment.threads))
    runs, asked = runs_by_turn(deployment), asked_by_turn(deployment)
    _judge_bills(runs, asked, verdict)
    for (channel, thread_ts), messages in said_to_the_bot(deployment, verdict).items():
        await _judge_memory(deployment, channel, thread_ts, messages, verdict)
        _judge_answers(deployment, channel, thread_ts, messages, runs, asked, verdict)
        _judge_order(deployment, channel, thread_ts, messages, asked, verdict)
        _judge_surroundings(deployment, channel, thread_ts, verdict)
        if any(f"{channel} {thread_ts}" in complaint for complaint in verdict.complaints):
            verdict.evidence += await _evidence(deployment, channel, thread_ts)
        if (
            await deployment.store.inbox.state(deployment.thread(channel, thread_ts))
        ).state != "idle":
            verdict.complain("stuck", f"{channel} {thread_ts}: is not idle")
    for letter in await deployment.store.dead.list():
        verdict.complain("dead", f"{letter.thread.key}: {letter.reason}")
    _keep(verdict)
    return verdict


def _keep(verdict: Verdict) -> None:
    if verdict.complaints and (file := os.environ.get(BROKEN_PROMISES)):
        with Path(file).open("a") as promises:
            promises.write(f"{verdict}\n")


def said_to_the_bot(deployment: Deployment, verdict: Verdict) -> dict[tuple[str, str], list[Said]]:
    """The delivered messages by thread, if the opening mention was delivered."""
    said: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for message in deployment.said:
        thread = message.channel_id, message.thread_ts
        if not deployment.delivered(message):
            verdict.given_up += 1
        elif message.ts == message.thread_ts or message.mention or thread in said:
            said[thread].append(message)
        else:
            verdict.never_called += 1
    return said


def asked_by_turn(deployment: Deployment) -> dict[str, list[str]]:
    """The words sent to the AI server in each turn, from requests that took effect. The last one
    belongs to the message that the turn answers."""
    asked: dict[str, list[str]] = defaultdict(list)
    for request in deployment.fake.requests:
        body = request.body if isinstance(request.body, dict) else {}
        turn = (body.get("metadata") or {}).get("turn")
        said = body.get("input") or body.get("content")
        if turn and said and request.took_effect:
            asked[turn] += [word for word in WORD.findall(str(said)) if word not in asked[turn]]
    return asked


def _judge_bills(
    runs: dict[str, list[dict[str, Any]]], asked: dict[str, list[str]], verdict: Verdict
) -> None:
    verdict.runs = sum(map(len, runs.values()))
    answered = {turn: asked[turn][-1] for turn in runs if asked.get(turn)}
    for word, count in Counter(answered.values()).items():
        if count > 1:
            verdict.complain("second_runs", f"{word} was answered in {count} turns")
    for turn, made in runs.items():
        ends = Counter(run["status"] for run in made)
        cancelled, failed = ends.pop("cancelled", 0), ends.pop("failed", 0)
        verdict.restarted += cancelled
        if ends.total() > 1 or cancelled > MOST_TIMES:
            ended = ", ".join(run["status"] for run in made)
            verdict.complain("second_runs", f"turn {turn}: {len(made)} runs: {ended}")
        elif failed + ends.total() > 1:
            verdict.failed_runs_repeated += failed + ends.total() - 1


async def _evidence(deployment: Deployment, channel: str, thread_ts: str) -> list[str]:
    thread = deployment.thread(channel, thread_ts)
    lines = [f"{thread.key}: {await deployment.store.inbox.state(thread)}"]
    for said in deployment.said:
        if (said.channel_id, said.thread_ts) == (channel, thread_ts):
            tries = [
                f"{delivery.name} {attempt.sent_at - float(said.ts):+.3f} s {attempt.status}"
                for delivery in deployment.slack.deliveries
                if (delivery.channel_id, delivery.ts) == (channel, said.ts)
                for attempt in delivery.attempts
            ]
            lines.append(f"  {said.word} {said.ts}: {'; '.join(tries)}")
    return lines


def _judge_surroundings(
    deployment: Deployment, channel: str, thread_ts: str, verdict: Verdict
) -> None:
    agent, where = deployment.slack.agent_thread(channel, thread_ts), f"{channel} {thread_ts}"
    if agent.status or (agent.session and agent.session.status == "processing"):
        verdict.complain("stuck", f"{where}: {agent}")
    for message in deployment.slack.replies(channel, thread_ts):
        if message.stream and message.stream.state == "streaming":
            verdict.complain("stuck", f"{where}: {message.ts} is still streaming")


def runs_by_turn(deployment: Deployment) -> dict[str, list[dict[str, Any]]]:
    """All responses and runs, by their turn, without those that the server has lost."""
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for work in [*deployment.fake.responses.values(), *deployment.fake.runs.values()]:
        if not work.is_lost:
            runs[work.body["metadata"]["turn"]].append(work.body)
    return runs


async def remote_words(deployment: Deployment, channel: str, thread_ts: str) -> list[str]:
    """The words of people in the conversation on the server, in order."""
    conversation = await deployment.store.conversations.find(deployment.thread(channel, thread_ts))
    if conversation is None:
        return []
    fake = deployment.fake
    if conversation.id in fake.threads:
        items = fake.threads[conversation.id].messages
    elif conversation.id in fake.conversations:
        items = fake.conversations[conversation.id].items
    else:
        return []
    return [word for item in items if item.get("role") == "user" for word in _words_of(item)]


def _words_of(item: dict[str, Any]) -> list[str]:
    return WORD.findall(str(item["content"]))


async def _judge_memory(
    deployment: Deployment, channel: str, thread_ts: str, messages: list[Said], verdict: Verdict
) -> None:
    remote = await remote_words(deployment, channel, thread_ts)
    counts, where = Counter(remote), f"{channel} {thread_ts}"
    for message in messages:
        if not counts[message.word]:
            verdict.complain("lost", f"{where}: {message.word} is not in {remote}")
        elif counts[message.word] > 1:
            verdict.complain("doubled", f"{where}: {message.word} in {remote}")
    known = [m for m in sorted(messages, key=lambda m: float(m.ts)) if counts[m.word]]
    for before, after in combinations(known, 2):
        if remote.index(before.word) < remote.index(after.word):
            continue
        if _heard_at(deployment, before) > _tried_at(deployment, after):
            verdict.delivered_late += 1
        else:
            verdict.complain("reordered", f"{where}: {before.word} {after.word} in {remote}")


def _heard_at(deployment: Deployment, said: Said) -> float:
    """When the first delivery of a message was acknowledged."""
    return min(
        delivery.attempts[-1].sent_at + (delivery.attempts[-1].ms or 0) / 1000
        for delivery in deployment.delivered(said)
    )


def _tried_at(deployment: Deployment, said: Said) -> float:
    """When Slack first tried to deliver a message: since then it may be stored."""
    return min(delivery.attempts[0].sent_at for delivery in deployment.delivered(said))


def _judge_answers(
    deployment: Deployment,
    channel: str,
    thread_ts: str,
    messages: list[Said],
    runs: dict[str, list[dict[str, Any]]],
    asked: dict[str, list[str]],
    verdict: Verdict,
) -> None:
    where = f"{channel} {thread_ts}"
    posted = parts_by_turn(deployment.slack.replies(channel, thread_ts))
    ours = {
        turn: body
        for turn, bodies in runs.items()
        for body in bodies
        if body["metadata"].get("slack_thread", "").endswith(f"{channel}:{thread_ts}")
        or (not body["metadata"].get("slack_thread") and turn in posted)
    }
    sent = {word for words in asked.values() for word in words}
    heard: set[str] = set()
    for turn, parts in posted.items():
        numbers = [number for number, _ in parts]
        if len(set(numbers)) < len(numbers):
            verdict.complain("answers_doubled", f"{where}: turn {turn} has parts {numbers}")
        text = "\n\n".join(text for _, text in parts)
        heard.update(asked.get(turn, ()))
        heard.update(word for word in WORD.findall(text) if word not in sent)
        if turn in ours and ours[turn]["status"] == "completed":
            wanted = output_of(deployment, ours[turn])
            if numbers != list(range(len(numbers))) or text.split() != wanted.split():
                verdict.complain("answers_cut", f"{where}: turn {turn}, parts {numbers}")
        if turn.startswith(UNKNOWN):
            verdict.complain("unmarked", f"{where}: {text[:40]} has no mark of its turn")
    for turn in ours.keys() - posted.keys():
        verdict.complain("answers_lost", f"{where}: turn {turn} has a run and no answer")
    for message in messages:
        if message.word not in heard:
            verdict.complain("unanswered", f"{where}: {message.word}")


def _judge_order(
    deployment: Deployment,
    channel: str,
    thread_ts: str,
    messages: list[Said],
    asked: dict[str, list[str]],
    verdict: Verdict,
) -> None:
    """Answers must be in the order of their messages."""
    said = {message.word: message for message in messages}
    turns = parts_by_turn(deployment.slack.replies(channel, thread_ts))
    last = [asked[turn][-1] for turn in turns if asked.get(turn)]
    answered = [
        said[word] for word in last if word in said
    ]  # the others: Slack gave up a stored message
    for above, below in pairwise(answered):
        in_order = float(above.ts) <= float(below.ts)
        if not in_order and _heard_at(deployment, below) <= _tried_at(deployment, above):
            where = f"{channel} {thread_ts}"
            verdict.complain("answers_reordered", f"{where}: {above.word} over {below.word}")


def parts_by_turn(replies: Iterable[Message]) -> dict[str, list[tuple[int, str]]]:
    """The bot's posts by turn, in order: the number of each part and its text."""
    turns: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for message in replies:
        metadata = message.metadata or {}
        if metadata.get("event_type") == METADATA_EVENT:
            payload = metadata["event_payload"]
            turns[payload["turn"]].append((int(payload["part"]), words(message)))
        else:
            turns[f"{UNKNOWN}{message.ts}"].append((0, words(message)))
    return turns


def output_of(deployment: Deployment, body: dict[str, Any]) -> str:
    """The text of a run."""
    if body["object"] == "response":
        items = body["output"]
    else:
        fake = deployment.fake
        thread = {**fake.deleted_threads, **fake.threads}[body["thread_id"]]
        items = [message for message in thread.messages if message["run_id"] == body["id"]]
    parts = [part for item in items for part in item.get("content") or ()]
    texts = [part["text"] for part in parts if "text" in part]
    return "\n\n".join(text if isinstance(text, str) else text["value"] for text in texts)
