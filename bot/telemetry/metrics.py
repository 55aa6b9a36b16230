"""The metrics for Prometheus.

No label holds a person, a channel or a thread, so the number of series is bounded.
`docs/grafana.json` uses them; a test compares its names with those below.
"""

import re
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from bot import __version__
from bot.models import Answer, Usage

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5)
"""Buckets in seconds for what must end within Slack's three seconds."""
SLOW = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)
"""Buckets in seconds for runs of a model."""


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(name, what, labels, registry=REGISTRY)


def _gauge(name: str, what: str, *labels: str) -> Gauge:
    return Gauge(name, what, labels, registry=REGISTRY)


def _histogram(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, what, labels, buckets=buckets, registry=REGISTRY)


acks = _histogram(
    "bot_ack_seconds", "Seconds from Slack's request to our response", QUICK, "transport", "status"
)
rejected = _counter(
    "bot_requests_rejected_total", "Requests without a valid Slack signature", "reason"
)
not_installed = _counter(
    "bot_requests_not_installed_total", "Requests of workspaces without an installation"
)
messages = _counter("bot_messages", "Messages for the bot, by `new` or `again`", "delivery")

queue_threads = _gauge("bot_queue_threads", "Threads by state: waiting, claimed, later", "state")
queue_oldest = _gauge(
    "bot_queue_oldest_seconds", "Seconds for which the oldest waiting thread has waited"
)
queue_seconds = _histogram("bot_queue_seconds", "Seconds from ready to taken by a worker", QUICK)
dead_letters = _gauge("bot_dead_letters", "Turns that were given up")
workers = _gauge("bot_workers", "Workers that are alive; in the shard with the fewest")
redis_memory = _gauge(
    "bot_redis_memory_ratio", "Used part of Redis's memory limit; 0 without a limit", "shard"
)
redis_up = _gauge("bot_redis_up", "Whether Redis, with all shards, answered the latest scrape")
shards_down = _gauge("bot_shards_down", "Shards that did not answer the latest scrape")
shards_served = _gauge("bot_shards_served", "Shards that this worker serves")

turns = _counter("bot_turns", "Turns that ended, by outcome", "outcome")
turns_active = _gauge("bot_turns_active", "Threads that this process answers now")
turn_seconds = _histogram(
    "bot_turn_seconds", "Seconds from the claim to the last part of the answer", SLOW
)
first_text_seconds = _histogram(
    "bot_first_text_seconds",
    "Seconds from the person's message to the first text of the model",
    SLOW,
)
answer_seconds = _histogram(
    "bot_answer_seconds", "Seconds from the person's message to the last part of the answer", SLOW
)
retries = _counter(
    "bot_retries", "Turns that were postponed, by reason and dependency", "reason", "dependency"
)
circuit_open = _gauge(
    "bot_circuit_open", "Whether the circuit of a dependency is open", "dependency"
)
circuits_opened = _counter(
    "bot_circuits_opened", "How often the circuit of a dependency opened", "dependency"
)
tokens = _counter(
    "bot_tokens", "Tokens: input (cached included), cached, output, reasoning", "kind", "model"
)

polls = _counter("bot_polls", "Polls of runs, by result: working, done, error", "result")
poll_lag_seconds = _histogram(
    "bot_poll_lag_seconds",
    "Seconds from a run's end (reported in whole seconds) to the poll that found it",
    QUICK,
)

redis_errors = _counter("bot_redis_errors", "Failed calls of Redis, by error", "error")
slack_errors = _counter("bot_slack_errors", "Failed calls of Slack, by Slack's code", "error")
engine_errors = _counter("bot_engine_errors", "Failed calls of the AI server", "error")

build = _gauge("bot_build_info", "The running version", "version")
build.labels(__version__).set(1)


def count_turn(answer: Answer, seconds: float, asked_at: float) -> None:
    """Count an answered turn; `asked_at` is when the person wrote, in epoch seconds."""
    turns.labels(answer.outcome).inc()
    turn_seconds.observe(seconds)
    answer_seconds.observe(max(0.0, time.time() - asked_at))
    if answer.usage is not None:
        count_tokens(answer.usage, answer.model)


def count_tokens(usage: Usage, model: str) -> None:
    """Count the tokens of a run."""
    for kind, count in (
        ("input", usage.input_tokens),
        ("cached", usage.cached_tokens),
        ("output", usage.output_tokens),
        ("reasoning", usage.reasoning_tokens),
    ):
        tokens.labels(kind, model or "unknown").inc(count)


def observe_lag(ended_at: float | None) -> None:
    """Record the delay in detecting the end of a run, if the server reports that time."""
    if ended_at:
        poll_lag_seconds.observe(max(0.0, time.time() - ended_at))


def kind(reason: str) -> str:
    """A reason as a label: only its first word, because the rest is unbounded."""
    found = re.match(r"[A-Za-z_]{1,40}", reason)
    return found[0] if found else "other"
