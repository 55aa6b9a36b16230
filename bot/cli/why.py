"""`bot why LINK`: where a thread is, what it waits for, and what to do."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from bot.cli.why_idle import ROOT_WANTED, Diagnosis, ago, explain_idle
from bot.errors import StoreUnavailable
from bot.settings import Settings
from bot.store import Approval, Store
from bot.store.approvals import SUSPENDED
from bot.store.dead import DeadLetter
from bot.store.inspection import Findings, Inspection
from bot.store.shards import open_shards
from bot.store.steps import ANSWER, GIVEN_UP
from bot.texts.steps import describe_step, in_order

_TS = re.compile(r"\d{1,10}\.\d{6}")
_PATH = re.compile(r"/archives/([CDG][A-Z0-9]+)(?:/p(\d{10})(\d{6}))?")
_CLIENT = re.compile(r"/client/[TE][A-Z0-9]+/[CDG][A-Z0-9]+/thread/([CDG][A-Z0-9]+)-(\d+\.\d+)")
_PAGE = re.compile(r"/([CDG][A-Z0-9]+)/(\d+\.\d+)")
_WORDS = re.compile(r"(?:[TE][A-Z0-9]+[: ])?([CDG][A-Z0-9]+)[: ](\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class MessagePlace:
    """A message, and the thread that it is in."""

    channel_id: str
    thread_ts: str
    ts: str = ""


def parse_link(text: str) -> MessagePlace | None:
    """Read a link that Slack copies, the address of a thread in a browser, one of `bot try`, or
    `C… 123.456`; None for anything else."""
    text = text.strip().strip("<>")
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if found := _PATH.search(parts.path):
        channel, seconds, micros = found.groups()
        query = parse_qs(parts.query)
        ts = f"{seconds}.{micros}" if seconds else ""
        root = query.get("thread_ts", [ts])[0]
        return MessagePlace(channel, root, ts or root) if _TS.fullmatch(root) else None
    alike = _CLIENT.match(parts.path), _PAGE.fullmatch(parts.fragment), _WORDS.fullmatch(text)
    if found := next(filter(None, alike), None):
        return MessagePlace(found[1], found[2], found[2])
    return None


async def inspect(settings: Settings, place: MessagePlace) -> list[Findings]:
    """Look the thread up in Redis."""
    found: list[Findings] = []

    async def look(store: Store) -> bool:
        inspection = Inspection(store.connection, store.keys)
        found.extend(await inspection.find(place.channel_id, place.thread_ts, place.ts))
        return False  # a place may be one of several workspaces

    async with open_shards(settings) as shards:
        try:
            await shards.first(look)
        except StoreUnavailable:
            if not found:
                raise
    return found


def explain(found: Findings) -> Diagnosis:
    """The most important fact about a thread."""
    match found.state.state:
        case "claimed":
            return _explain_claimed(found)
        case "later":
            return _explain_later(found)
        case "ready":
            return _explain_ready(found)
        case _:
            letter = _letter_of(found)
            return _explain_given_up(found, letter) if letter else explain_idle(found)


NO_WORKER = "start a worker: `bot worker`, or `bot run`"


def _explain_claimed(found: Findings) -> Diagnosis:
    state = found.state
    worker = f"worker {state.worker}"
    if found.worker_until is None or found.worker_until < found.now:
        do = NO_WORKER if not found.workers else "nothing: another worker takes over in seconds"
        return Diagnosis("is held by a worker that died", f"{worker} sends no heartbeats", do)
    if found.begun:
        why = f"busy with: {describe_step(in_order(found.begun)[-1])}"
    elif found.done:
        why = f"last finished: {describe_step(in_order(found.done)[-1])}"
    else:
        why = "it has just begun"
    since = f" for {found.now - found.taken_at:.0f} s" if found.taken_at else ""
    do = "nothing; `stop` in the thread ends it (BOT_RUN_DEADLINE does at the latest)"
    return Diagnosis(f"is being answered{since}", f"{worker}, {why}", do)


def _explain_later(found: Findings) -> Diagnosis:
    state = found.state
    if down := [name for name in found.parked if name in found.circuits]:
        circuit = found.circuits[down[0]]
        down_for = ago(found.now - circuit.since)
        why = f"{down[0]} has been down for {down_for}: {circuit.reason}{_rest(found)}"
        do = f"nothing, once {down[0]} works again; it is tried in {circuit.retry_in:.0f} s"
        do = do if found.workers else NO_WORKER
        return Diagnosis("waits for a service that is down", why, do)
    if state.requester and state.reason == SUSPENDED:
        why = "; ".join(_asked(found, each) for each in found.approvals) or SUSPENDED
        do = "answer the card in the thread, or write `stop` there"
        return Diagnosis("waits for a person", why, do)
    due = max(0.0, (found.due_at or found.now) - found.now)
    failures = f", after {_count(state.attempts, 'failure')}" if state.attempts else ""
    why = f"{state.reason or 'it was asked to wait'}{failures}{_rest(found)}"
    do = "nothing; see the log line turn_delayed for the cause" if found.workers else NO_WORKER
    return Diagnosis(f"is tried again in {due:.0f} s", why, do)


def _asked(found: Findings, approval: Approval) -> str:
    what = {"call": "allow", "form": "fill in a form of", "url": "visit an address of"}
    left = max(0.0, approval.expires - found.now)
    tool = f"{approval.server}/{approval.tool}"
    return f"{approval.requester} is to {what[approval.kind]} {tool}, within {ago(left)}"


def _rest(found: Findings) -> str:
    """The remaining work of a turn that is given up or answered."""
    if GIVEN_UP.name in found.done:
        return "; the question was given up, only the apology is left to post"
    return "; the answer is complete and waits to be posted" if ANSWER.name in found.done else ""


def _explain_ready(found: Findings) -> Diagnosis:
    messages = len({*found.state.waiting, *found.state.taken})
    if not messages:
        why = "its messages were deleted before a worker took them"
        return Diagnosis("has nothing to do", why, "nothing")
    why = "all workers are busy" if found.workers else "no worker is running"
    do = "nothing, or start another `bot worker`" if found.workers else NO_WORKER
    return Diagnosis(f"is queued with {_count(messages, 'message')}", why, do)


def _letter_of(found: Findings) -> DeadLetter | None:
    """The dead letter with the message, or the newest one if the link is that of the thread."""
    with_it = [each for each in found.dead if found.ts in {m.ts for m in each.messages}]
    if with_it or not found.dead:
        return with_it[-1] if with_it else None
    is_known = any(record.ts == found.ts for record in found.history)
    is_thread = found.ts in ("", found.thread.thread_ts) and not is_known
    return found.dead[-1] if is_thread else None


def _explain_given_up(found: Findings, letter: DeadLetter) -> Diagnosis:
    why = f"given up {ago(found.now - letter.at)} ago: {letter.reason}"
    retry = f"`bot dead retry {letter.id}`"
    do = f"remove the cause, then {retry}"
    if letter.dependency:
        do = f"nothing: it is answered once {letter.dependency} works again; or {retry}"
    return Diagnosis("was given up", why, do)


def render(place: MessagePlace, all_found: Sequence[Findings]) -> str:
    """For a terminal: the verdict, and below it the facts."""
    if not all_found:
        return "\n".join(
            (
                f"Nothing of {place.channel_id} {place.thread_ts} is in this Redis.",
                "→ No event arrived for it, or the bot was not mentioned, or it is older than "
                "BOT_RETENTION_DAYS.",
                f"→ {ROOT_WANTED.capitalize()}.",
                "→ `bot doctor` says when the last event came; is this the Redis and the prefix "
                "of the deployment?",
            )
        )
    return "\n\n".join("\n".join(_lines(found)) for found in all_found)


def _lines(found: Findings) -> Iterator[str]:
    verdict = explain(found)
    yield f"{found.thread.key} {verdict.where}"
    yield f"  because  {verdict.why}"
    yield f"  do       {verdict.do}"
    yield ""
    state = found.state
    facts = {
        "state": state.state,
        "waiting": ", ".join(state.waiting),
        "taken": ", ".join(state.taken),
        "turn": state.turn_id,
        "worker": state.worker,
        "workers": str(found.workers),
        "failures": f"{state.attempts}, crashes {state.crashes}",
        "last reason": state.reason,
        "interrupt": state.interrupt,
        "steps done": "; ".join(dict.fromkeys(map(describe_step, in_order(found.done)))),
        "step begun": "; ".join(map(describe_step, in_order(found.begun))),
        "conversation": found.conversation,
        "deleted": "by its author" if found.is_deleted else "",
        "refused": ", ".join(found.refused),
        "not for us": ", ".join(found.overheard),
        "services down": ", ".join(f"{n} ({c.reason})" for n, c in found.circuits.items()),
        "dead letters": ", ".join(_letter(each.id, each.at, each.reason) for each in found.dead),
    }
    yield from (f"  {name:13} {value}" for name, value in facts.items() if value)


def _letter(id: str, at: float, reason: str) -> str:
    return f"{id} of {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC ({reason})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
