"""The complete state of one thread in Redis, for `bot why`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.models import Message, Record, Thread, decode
from bot.store.approvals import Approval
from bot.store.claims import ThreadState
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.dead import DeadLetter, DeadLetters
from bot.store.flags import refusal_mark
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.store.records import decode_line
from bot.store.routing import MAX_MOVES
from bot.store.scanning import scan
from bot.store.steps import approval_step, decision_step

SCAN_COUNT = 5000
DELETED = "deleted"
"""The value of the mark of a message that was seen and deleted; `amend.lua` writes it."""


@dataclass(frozen=True, slots=True)
class DownDependency:
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
    circuits: Mapping[str, DownDependency] = field(default_factory=dict)
    dead: tuple[DeadLetter, ...] = ()
    conversation: str = ""
    overheard: tuple[str, ...] = ()
    """The ts of overheard messages."""
    ts: str = ""
    """The message that was asked about; after "Answer again" that of the edited one."""
    was_seen: bool = False
    """Whether the message that was asked about has arrived in the last 26 hours."""
    is_deleted: bool = False
    """Whether its author deleted it in that time."""
    author: str = ""
    """Its author, as far as that is known."""
    refused: tuple[str, ...] = ()
    """People who were informed here recently that they may not use the bot."""
    history: tuple[Record, ...] = ()
    owed: tuple[str, ...] = ()
    """The ts of messages that the AI server gets with the next question."""
    approvals: tuple[Approval, ...] = ()
    """The approvals that people have not decided yet."""


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
        prefix, found = self._keys.name(""), set[str]()
        pattern = self._keys.escaped(f"*:{channel_id}:*")
        async for names in scan(self._connection, "SCAN", match=pattern, count=SCAN_COUNT):
            for name in map(str, names):
                if any(name.endswith(place) for place in places):
                    team = name.removeprefix(prefix).split(":")[-3:-2]
                    found.update(team)
        return found

    async def _look(self, thread: Thread, ts: str, dead: Sequence[DeadLetter]) -> Findings:
        keys, state, ts = self._keys, await self._inbox.state(thread), await self._moved(thread, ts)
        found = await self._connection.execute_many(
            [
                ("TIME",),
                ("HGETALL", keys.turn(thread)),
                ("ZSCORE", keys.later, thread.key),
                ("ZSCORE", keys.workers, state.worker),
                ("HGETALL", keys.circuits),
                ("HKEYS", keys.overheard(thread)),
                ("HMGET", keys.conversation(thread), "id", "engine", "owed"),
                ("GET", keys.seen_at(thread, ts)),
                ("ZRANGE", keys.workers, 0, -1, "WITHSCORES"),
                ("LRANGE", keys.record(thread), 0, -1),
                ("HGETALL", keys.speakers(thread)),
            ]
        )
        seconds, turn, due, lease, circuits, overheard, conversation, seen, workers = found[:9]
        lines, spoke = found[9:]
        now = int(seconds[0]) + int(seconds[1]) / 1e6
        done = tuple(name[1:] for name in turn if name.startswith("="))
        id, engine, owed = conversation
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
            parked=await self._parked(thread, circuits),
            circuits=_open_circuits(circuits, now),
            dead=tuple(dead),
            conversation=f"{id} ({engine})" if id else "",
            overheard=tuple(sorted(overheard)),
            ts=ts,
            was_seen=seen is not None,
            is_deleted=seen == DELETED,
            author=next((who for who, at in spoke.items() if at == ts and who[:1] != "@"), ""),
            refused=await self._refused(thread, [who for who in spoke if who[:1] != "@"]),
            history=tuple(r for _, r in read_each(keys.record(thread), lines, decode_line)),
            owed=_owed(keys.conversation(thread), owed),
            approvals=_open_approvals(keys.turn(thread), turn),
        )

    async def _moved(self, thread: Thread, ts: str) -> str:
        """The ts under which an edited message was answered again."""
        for _ in range(MAX_MOVES):
            found = await self._connection.execute("GET", self._keys.moved(thread, ts))
            if not found:
                break
            ts = found
        return ts

    async def _parked(self, thread: Thread, circuits: Mapping[str, str]) -> tuple[str, ...]:
        """The dependencies that the thread waits for."""
        scores = await self._connection.execute_many(
            [("ZSCORE", self._keys.parked(name), thread.key) for name in circuits]
        )
        return tuple(name for name, score in zip(circuits, scores, strict=True) if score)

    async def _refused(self, thread: Thread, people: Sequence[str]) -> tuple[str, ...]:
        found = await self._connection.execute_many(
            [("EXISTS", self._keys.flag(refusal_mark(thread, person))) for person in people]
        )
        return tuple(person for person, is_set in zip(people, found, strict=True) if is_set)


def _owed(key: str, text: str | None) -> tuple[str, ...]:
    found = read_each(key, [text or "[]"], lambda text: decode(tuple[Message, ...], text))
    return tuple(message.ts for _, messages in found for message in messages)


def _open_approvals(key: str, turn: Mapping[str, str]) -> tuple[Approval, ...]:
    prefix, decided = f"={approval_step('').name}", f"={decision_step('').name}"
    texts = [
        text
        for name, text in turn.items()
        if name.startswith(prefix) and decided + name.removeprefix(prefix) not in turn
    ]
    found = read_each(key, texts, lambda text: decode(Approval, text))
    return tuple(approval for _, approval in found)


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


def _open_circuits(fields: Mapping[str, str], now: float) -> dict[str, DownDependency]:
    found = {}
    for dependency, text in fields.items():
        try:
            circuit = json.loads(text)
            if circuit["state"] == "open":
                wait = max(0.0, circuit["retry_at"] - now)
                found[dependency] = DownDependency(str(circuit["reason"]), circuit["since"], wait)
        except (ValueError, KeyError, TypeError):
            continue
    return found
