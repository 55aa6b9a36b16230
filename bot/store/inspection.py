"""The complete state of one thread in Redis, for `bot why`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.models import Thread
from bot.store.claims import ThreadState
from bot.store.connection import Connection
from bot.store.dead import DeadLetter, DeadLetters
from bot.store.inbox import Inbox
from bot.store.keys import Keys

SCAN_COUNT = 5000


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """A dependency that is down: the reason, since when, and the seconds until the next probe."""

    reason: str
    since: float
    retry_in: float


@dataclass(frozen=True, slots=True)
class Findings:
    """One thread. Times are in epoch seconds, `now` is Redis's clock."""

    thread: Thread
    now: float
    state: ThreadState
    due_at: float | None = None
    """When a released thread is resumed."""
    taken_at: float | None = None
    done: tuple[str, ...] = ()
    """Names of the recorded steps of the turn, see `bot.store.steps`."""
    begun: tuple[str, ...] = ()
    """Steps that were begun but not recorded."""
    worker_until: float | None = None
    """End of the lease of the worker that holds the thread; None without such a worker."""
    workers: int = 0
    """Live workers."""
    parked: tuple[str, ...] = ()
    circuits: Mapping[str, OpenCircuit] = field(default_factory=dict)
    dead: tuple[DeadLetter, ...] = ()
    conversation: str = ""
    overheard: tuple[str, ...] = ()
    """The ts of overheard messages."""
    ts: str = ""
    """The message that was asked about."""
    was_seen: bool = False
    """Whether the message that was asked about has arrived."""


class Inspection:
    """Reads only."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._inbox = Inbox(connection, connection, keys)

    async def find(self, channel_id: str, thread_ts: str, ts: str = "") -> list[Findings]:
        """The threads at this place, one per team, with the message `ts`."""
        dead = await DeadLetters(self._connection, self._keys).list()
        letters = [
            letter
            for letter in dead
            if (letter.thread.channel_id, letter.thread.thread_ts) == (channel_id, thread_ts)
        ]
        teams = {letter.thread.team_id for letter in letters}
        teams |= await self._teams_of(channel_id, thread_ts, ts)
        threads = [Thread(team, channel_id, thread_ts) for team in sorted(teams)]
        return [
            await self._look(thread, ts, [each for each in letters if each.thread == thread])
            for thread in threads
        ]

    async def _teams_of(self, channel_id: str, thread_ts: str, ts: str) -> set[str]:
        places = {f":{channel_id}:{thread_ts}", f":{channel_id}:{ts or thread_ts}"}
        prefix, found, cursor = self._keys.name(""), set[str](), "0"
        pattern = self._keys.escaped(f"*:{channel_id}:*")
        while True:
            cursor, names = await self._connection.execute(
                "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT
            )
            for name in map(str, names):
                if any(name.endswith(place) for place in places):
                    team = name.removeprefix(prefix).split(":")[-3:-2]
                    found.update(team)
            if str(cursor) == "0":
                return found

    async def _look(self, thread: Thread, ts: str, dead: Sequence[DeadLetter]) -> Findings:
        keys, state = self._keys, await self._inbox.state(thread)
        found = await self._connection.execute_many(
            [
                ("TIME",),
                ("HGETALL", keys.turn(thread)),
                ("ZSCORE", keys.later, thread.key),
                ("ZSCORE", keys.workers, state.worker),
                ("HGETALL", keys.circuits),
                ("HKEYS", keys.overheard(thread)),
                ("HMGET", keys.conversation(thread), "id", "engine"),
                ("EXISTS", keys.seen_at(thread, ts)),
                ("ZRANGE", keys.workers, 0, -1, "WITHSCORES"),
            ]
        )
        seconds, turn, due, lease, circuits, overheard, conversation, seen, workers = found
        now = int(seconds[0]) + int(seconds[1]) / 1e6
        parked = [
            dependency
            for dependency in circuits
            if await self._connection.execute("ZSCORE", keys.parked(dependency), thread.key)
        ]
        done = tuple(name[1:] for name in turn if name.startswith("="))
        id, engine = conversation
        return Findings(
            thread=thread,
            now=now,
            state=state,
            due_at=float(due) if due is not None else None,
            taken_at=_number(turn.get("taken_at")),
            done=done,
            begun=tuple(n[1:] for n in turn if n.startswith("?") and n[1:] not in done),
            worker_until=float(lease) if state.worker and lease is not None else None,
            workers=sum(float(score) > now for score in _scores(workers)),
            parked=tuple(parked),
            circuits=_open_circuits(circuits, now),
            dead=tuple(dead),
            conversation=f"{id} ({engine})" if id else "",
            overheard=tuple(sorted(overheard)),
            ts=ts,
            was_seen=bool(seen),
        )


def _scores(reply: Sequence[object]) -> list[str]:
    """The scores of a sorted set; a client may pair them with their members."""
    if reply and isinstance(reply[0], list | tuple):
        return [str(pair[1]) for pair in reply if isinstance(pair, list | tuple)]
    return [str(score) for score in reply[1::2]]


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _open_circuits(fields: Mapping[str, str], now: float) -> dict[str, OpenCircuit]:
    found = {}
    for dependency, text in fields.items():
        try:
            circuit = json.loads(text)
            if circuit["state"] == "open":
                wait = max(0.0, circuit["retry_at"] - now)
                found[dependency] = OpenCircuit(str(circuit["reason"]), circuit["since"], wait)
        except (ValueError, KeyError, TypeError):
            continue
    return found
