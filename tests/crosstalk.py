"""Talk in several workspaces with the same ids at once, and look for what crossed between them.

Every message carries a mark with the name of its workspace. The model answers with all that people
said in the conversation, so a mark in the wrong place shows where something crossed.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bot.store.usage import day_of
from local_slack.local_slack import LocalSlack
from local_slack.people import Person
from tests.deployment import Deployment
from tests.fakes.openai import echo
from tests.world import PATIENCE, wait_until, words

MARK = re.compile(r"mark-([A-Z]+\d+)-\d+")
PEOPLE = ("alice", "bob", "carol")
QUESTIONS = 4
"""Messages of a dialogue: a mention and replies, or a direct message and replies."""
GENERAL = "#general"


@dataclass
class Talk:
    """What was said and answered; `crossed` names each mark in the wrong place."""

    messages: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """By workspace."""
    crossed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def look(self, where: str, team: str, text: str) -> None:
        """Note the marks of other workspaces in a text that belongs to one."""
        self.crossed += [f"{found} in {where} of {team}" for found in _marks(text) - {team}]


async def talk(deployment: Deployment, teams: Iterable[str], count: int, at_once: int = 8) -> Talk:
    """Send `count` messages, the same in each workspace, and look everywhere afterwards."""
    deployment.fake.answer = echo
    teams, result, began = tuple(teams), Talk(), time.monotonic()
    plans = _plans(teams, count)
    await asyncio.gather(*(_speak(deployment, plans, result) for _ in range(at_once * len(teams))))
    result.seconds = time.monotonic() - began
    for team in teams:
        await _wait_for_charges(deployment, team, result.answers[team])
        await _look_at_slack(deployment, team, result)
    await _look_at_redis(deployment, teams, result)
    _look_at_the_ai_server(deployment, result)
    return result


@dataclass(frozen=True)
class _Plan:
    """A dialogue of one person."""

    team: str
    who: str
    number: int
    direct: bool
    questions: int


def _plans(teams: tuple[str, ...], count: int) -> Iterator[_Plan]:
    left, number = count, 0
    while left > 0:
        for team in teams:
            questions = min(QUESTIONS, left)
            if questions > 0:
                direct = number % 3 == 2
                yield _Plan(team, PEOPLE[number % len(PEOPLE)], number, direct, questions)
            left -= questions
        number += 1


async def _speak(deployment: Deployment, plans: Iterator[_Plan], result: Talk) -> None:
    for plan in plans:
        slack = deployment.slack(plan.team)
        person = slack.user(plan.who)
        channel = person.dm() if plan.direct else GENERAL
        root = ""
        for turn in range(plan.questions):
            mark = f"mark-{plan.team}-{plan.number * QUESTIONS + turn}"
            text = mark if plan.direct or root else f"@bot {mark}"
            ts = await person.says(channel, text, thread_ts=root or None)
            root = root or ts
            result.messages += 1
            await _wait_for_replies(slack, channel, root, turn + 1)
        for reply in slack.replies(channel, root):
            result.answers[plan.team] += 1
            result.look("an answer", plan.team, words(reply))


async def _wait_for_replies(slack: LocalSlack, channel: str, root: str, count: int) -> None:
    await slack.wait_for(lambda: len(slack.replies(channel, root)) >= count, PATIENCE)


async def _wait_for_charges(deployment: Deployment, team: str, wanted: int) -> None:
    spending, month = deployment.bot.shards.of(team).spending, day_of(time.time())[:7]

    async def charged() -> bool:
        (spent,) = await spending.sums(team, [("team", "", month)])
        assert spent.turns <= wanted
        return spent.turns == wanted

    await wait_until(charged)


async def _look_at_slack(deployment: Deployment, team: str, result: Talk) -> None:
    """App Home and the export of each person."""
    slack = deployment.slack(team)
    for who in PEOPLE:
        person = slack.user(who)
        await person.opens_home()
        await slack.settled(PATIENCE)
        assert person.home is not None
        result.look("App Home", team, str(person.home["blocks"]))
        result.look("an export", team, await export_of(deployment, team, person))


async def export_of(deployment: Deployment, team: str, person: Person) -> str:
    """What a person gets who presses Export in App Home."""
    slack = deployment.slack(team)
    files = slack.workspace.files
    before, home = set(files), person.home
    assert home is not None
    await person.clicks_in_view("errand:export", view_id=home["id"])
    new = await slack.wait_for(
        lambda: [file for id, file in files.items() if id not in before and file.complete],
        PATIENCE,
    )
    return new[0].content.decode()


async def _look_at_redis(deployment: Deployment, teams: tuple[str, ...], result: Talk) -> None:
    """Every key of a workspace."""
    async for key, text in dump(deployment):
        owner = next((team for team in teams if f":{team}:" in f"{key}:"), None)
        if owner:
            result.look(key, owner, text)
        elif len(_marks(text)) > 1:
            result.crossed.append(f"several workspaces in {key}")


async def dump(deployment: Deployment) -> AsyncIterator[tuple[str, str]]:
    """All keys in Redis with their values; all shards are on one server."""
    redis = deployment.bot.store.redis
    read: Mapping[str, Callable[[str], Awaitable[object]]] = {
        "hash": redis.hgetall,
        "list": lambda key: redis.lrange(key, 0, -1),
        "set": redis.smembers,
        "string": redis.get,
        "zset": lambda key: redis.zrange(key, 0, -1),
        "stream": lambda key: redis.xrange(key),
    }
    for key in await redis.keys("*"):
        kind = str(await redis.type(key))
        if kind != "none":  # it has expired
            yield str(key), str(await read[kind](str(key)))


def _look_at_the_ai_server(deployment: Deployment, result: Talk) -> None:
    for request in deployment.fake.requests:
        if len(_marks(str(request.body))) > 1:
            result.crossed.append(f"several workspaces in {request.path}")


def _marks(text: str) -> set[str]:
    return set(MARK.findall(text))
