"""Every duration and rate that is not a setting, as values passed down from `bot.app`.

The defaults are what production uses. A test that cannot wait passes its own.
Durations are in seconds, rates per second.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WorkerTiming:
    """Heartbeats, claims and retries of a worker."""

    heartbeat: float = 1.0
    lifetime: float = 8.0
    """A worker without a heartbeat for this long counts as dead."""
    rescue_every: int = 2
    """Heartbeats between two rescues."""
    stray_after: float = 5.0
    """A thread that is ours only according to Redis is rescued after this long."""
    starting_at_once: int = 100
    """Turns without a run yet. A larger burst is left to other workers: a thousand turns that
    start together overload Redis."""
    ack_patience: float = 1.0
    """How long turns wait in a burst for the acknowledgements that their process owes Slack."""
    recheck: float = 0.05
    """How soon a worker at that limit checks for a free slot again."""
    claim_block: float = 4.0
    """How long one claim waits for a thread to become ready."""
    idle_beats: int = 2
    """A worker without turns sends only every second heartbeat."""
    shutdown_grace: float = 5.0
    """How long a turn that is writing to Slack may finish its step when the worker leaves."""
    retry_first: float = 1.0
    """The pause before the first retry; it doubles with each attempt."""
    retry_longest: float = 30.0
    patience: float = 900.0
    """How long a server may ask us to wait before its rate limits count as failures."""


@dataclass(frozen=True, slots=True)
class ThrottleTiming:
    """The pace of runs."""

    rate_after_pause: float = 10.0
    """Runs per second after a pause."""
    pause: float = 2.0
    """The pause after a 429 that names none."""
    longest_pause: float = 120.0
    quota_pause: float = 60.0
    """The pause of all runs after a server reported that our quota is used up."""
    sharing: float = 1.0
    """How long a pause may take to reach the other shards."""
    log_again_after: int = 60


@dataclass(frozen=True, slots=True)
class CircuitTiming:
    """Circuit breakers of the dependencies."""

    first_pause: float = 1.0
    """The pause before the first probe; it doubles with each probe that fails."""
    longest_pause: float = 30.0
    longest_retry_after: float = 600.0
    """The longest pause that a dependency may ask for."""
    probe_timeout: float = 60.0
    """After this long without an outcome another probe may start."""
    recent: float = 10.0
    """An answer to another turn this long before a failure shows that the dependency is up."""
    resumed_per_second: float = 10.0
    healthy_after: float = 60.0
    """Dead letters are retried once their dependency has been up for this long."""
    recheck: float = 60.0
    """A parked thread is retried after this long even if nothing resumes it."""
    notice_after: float = 10.0
    """After this wait a person gets an outage notice."""


@dataclass(frozen=True, slots=True)
class StoreTiming:
    """Limits of one Redis command, and the circuit breakers that Redis holds."""

    call_timeout: float = 5.0
    """One command, connecting included; a blocking read must end before."""
    connect_timeout: float = 2.0
    queue_timeout: float = 10.0
    """Waiting for a free connection."""
    retry_delay: float = 0.05
    confirmation: float = 2.0
    """How long a write may wait for its confirmation. A replica with `appendfsync everysec` takes
    one second to confirm that it is on its disk; Slack waits three."""
    primary_check: float = 1.0
    """How often the Sentinels are asked for the primary."""
    slot_patience: float = 1.5
    """How long a call waits while a cluster moves our slot from one node to another."""
    restore_check: float = 1.0
    """How often `web` checks for an older state."""
    settling: float = 2.5
    """After Redis came back with an older state: how long no turn is taken, so that workers can
    reinstate theirs. More than two heartbeats."""
    circuits: CircuitTiming = field(default_factory=CircuitTiming)


@dataclass(frozen=True, slots=True)
class AnswerTiming:
    """How an answer is posted, edited and streamed."""

    posts_per_second: float = 1.0
    """Per channel."""
    posts_burst: int = 4
    post_patience: float = 120.0
    """How long a post waits for its channel's turn."""
    short: float = 1.0
    """An answer that is complete within this time is one post, which costs less than a stream."""
    settling: float = 1.0
    """How long to wait for a call of unknown outcome to appear in the thread."""
    append_every: float = 1.0
    edit_every: float = 3.0
    stream_old: float = 200.0
    """A stream this old is continued in a new message at the next good break."""
    stream_too_old: float = 230.0
    """A stream this old is continued in a new message immediately."""
    status_refresh: float = 90.0
    session_after: float = 1.0
    """An answer that takes longer shows Slack's own row, with its Stop button."""
    session_refresh: float = 1800.0
    """Slack ends the `processing` of a session after an hour."""
    rate_limit_scale: float = 1.0
    """A factor on Slack's rate limits."""
    waiting_after: float = 5.0
    """A message that waits this long for a worker gets a status."""
    waiting_check: float = 3.0


@dataclass(frozen=True, slots=True)
class EngineTiming:
    """Limits of one request to the AI server, and of its streams."""

    read_timeout: float = 15.0
    create_timeout: float = 60.0
    connect_timeout: float = 5.0
    write_timeout: float = 60.0
    """Extra time of a request with a body, beyond its read timeout."""
    lock_pause: float = 2.0
    """The pause before retrying a conversation that the server has locked."""
    silence: float = 30.0
    """A stream without an event for this long counts as broken."""
    quiet: float = 5.0
    """A stream without an event for this long may lose its place to that of a new run."""
    lost_after: float = 30.0
    """A run without progress for this long is given up if its server has failed since it began."""
    unclaimed: float = 60.0
    """A stream that no turn has taken over is closed after this long."""
    reopen_patience: float = 5.0
    acceptance: float = 10.0
    """How long the start of a run waits for a server to accept or refuse the request, if the run
    lives as long as the request."""
    stop_grace: float = 1.0
    """How long a run may take to end after a stop, before its turn ends without it."""
    rerun_pause: float = 2.0
    """The pause before a failed run is repeated; it doubles with the next one."""
    poll_first: float = 1.0
    poll_longest: float = 20.0
    error_first: float = 1.0
    """The pause after the first failed poll in a row."""


@dataclass(frozen=True, slots=True)
class SlackTiming:
    """Calls to Slack: `call` limits each of them, the others what is done beside the answer."""

    call: float = 20.0
    channels_fresh: float = 60.0
    """How long a person's visible channels are cached."""
    installation_fresh: float = 10.0
    """How long another process may use an installation after its removal."""
    look_up: float = 1.5
    """How long a listener, which has to acknowledge within 3 s, waits to learn who a person is."""
    transcript_delays: tuple[float, ...] = (1.0, 2.0, 3.0)
    """The pauses before Slack is asked again for the transcript of a recording."""


@dataclass(frozen=True, slots=True)
class SweepTiming:
    """The sweep of old conversations."""

    delete_timeout: float = 60.0
    """For one conversation, so that the lease outlives it; the rest of a large one is deleted
    later."""
    renew_lease: float = 30.0
    check: float = 600.0
    retry_after: float = 3600.0


@dataclass(frozen=True, slots=True)
class RecordTiming:
    """The upkeep of records."""

    check: float = 10.0
    """How often the memory of Redis is checked."""
    squeeze: float = 600.0
    rested: float = 86400.0
    """How long a conversation is idle before its record is shortened."""
    batches: int = 100
    """Batches of records at one time; the rest follows the next time."""
    pause: float = 0.1
    """Between two batches."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The timing of a whole process."""

    worker: WorkerTiming = field(default_factory=WorkerTiming)
    throttle: ThrottleTiming = field(default_factory=ThrottleTiming)
    store: StoreTiming = field(default_factory=StoreTiming)
    answer: AnswerTiming = field(default_factory=AnswerTiming)
    engine: EngineTiming = field(default_factory=EngineTiming)
    slack: SlackTiming = field(default_factory=SlackTiming)
    sweep: SweepTiming = field(default_factory=SweepTiming)
    records: RecordTiming = field(default_factory=RecordTiming)
    start_patience: float = 30.0
    """How long Redis and Slack may take to start at the same time as the bot."""
    clock: Callable[[], float] = time.time
    """The time in epoch seconds, for what is counted per day or month."""
