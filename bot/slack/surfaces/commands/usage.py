"""`/usage`: a person's usage; for admins also the top channels and people."""

import time

from bot.slack.blocks import Block, actions, section
from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.slack.surfaces.conversation_row import place
from bot.slack.surfaces.job_buttons import job_button
from bot.store import Store
from bot.store.jobs import Job
from bot.store.usage import FORGOTTEN, Spent, UsageScope, day_of
from bot.texts import usage as texts

TOP = 5


async def answer(ask: Ask) -> Answer:
    """The usage of today and this month, with a button for a chart."""
    text = f"{texts.HEADING}\n{await own_usage(ask.store, ask.team_id, ask.user_id)}"
    blocks = [section(text), _row("chart", texts.CHART)]
    if await ask.people.is_admin(ask.user_id):
        blocks.append(section(await _top(ask, "channel", texts.CHANNELS)))
        blocks.append(section(await _top(ask, "person", texts.PEOPLE)))
        blocks.append(_row("team_chart", texts.TEAM_CHART))
    return {"text": text, "blocks": blocks}


async def own_usage(store: Store, team_id: str, user_id: str) -> str:
    """The person's usage in mrkdwn."""
    day = day_of(time.time())
    today, month = await store.spending.sums(
        team_id, [("person", user_id, day), ("person", user_id, day[:7])]
    )
    return texts.own(render_spent(today), render_spent(month))


def render_spent(spent: Spent) -> str:
    """A sum in words, without zero counts; without money if no price is known."""
    if not spent.turns:
        return texts.NOTHING
    if not spent.tokens:
        return texts.answers(spent.turns)
    given = f"{spent.input_tokens:,} in" + _part(spent.cached_tokens, "cached")
    made = f"{spent.output_tokens:,} out" + _part(spent.reasoning_tokens, "reasoning")
    guess = _part(spent.estimated_tokens, "estimated")
    words = f"{texts.answers(spent.turns)}, {spent.tokens:,} tokens{guess} ({given}; {made})"
    return f"{words}, ${spent.dollars:,.4f}" if spent.microdollars else words


def _part(count: int, what: str) -> str:
    return f", {count:,} of them {what}" if count else ""


async def _top(ask: Ask, scope: UsageScope, title: str) -> str:
    month = day_of(time.time())[:7]
    ids = await ask.store.spending.top(ask.team_id, scope, month, TOP)
    sums = await ask.store.spending.sums(ask.team_id, [(scope, name, month) for name in ids])
    lines = [
        f"{rank}. {_name(scope, name)}: {render_spent(spent)}"
        for rank, (name, spent) in enumerate(zip(ids, sums, strict=True), 1)
    ]
    return "\n".join([texts.top(title), *(lines or [texts.NOTHING])])


def _name(scope: UsageScope, name: str) -> str:
    if scope == "channel":
        return place(name)
    return texts.FORGOTTEN if name == FORGOTTEN else f"<@{name}>"


def _row(job: Job, label: str) -> Block:
    return actions(job_button(job, label))


COMMAND = Command("/usage", texts.DESCRIPTION, answer, for_everyone=True)
