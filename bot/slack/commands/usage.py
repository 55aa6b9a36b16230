"""`/usage`: what a person spent; for admins the top channels and people as well."""

import time
from typing import Any

from bot.slack.commands.command import Answer, Ask, Command
from bot.slack.commands.reset import section
from bot.slack.errands import errand_button
from bot.store import Store
from bot.store.errands import Errand
from bot.store.usage import Scope, Spent, day_of

TOP = 5


async def answer(ask: Ask) -> Answer:
    """Today and this month, with a button for a picture."""
    text = await own_usage(ask.store, ask.team_id, ask.user_id)
    blocks = [section(text), _row("chart", "Send me a chart")]
    if await ask.people.is_admin(ask.user_id):
        blocks.append(section(await _top(ask, "channel", "Channels")))
        blocks.append(section(await _top(ask, "person", "People")))
        blocks.append(_row("team_chart", "Send me a chart of the workspace"))
    return {"text": text, "blocks": blocks}


async def own_usage(store: Store, team_id: str, user_id: str) -> str:
    """The person's usage in mrkdwn."""
    day = day_of(time.time())
    today, month = await store.spending.sums(
        team_id, [("person", user_id, day), ("person", user_id, day[:7])]
    )
    return f"*Your usage*\nToday: {render_spent(today)}\nThis month: {render_spent(month)}"


def render_spent(spent: Spent) -> str:
    """A sum in words; money only where a price is known."""
    words = (
        f"{spent.turns:,} answers, {spent.tokens:,} tokens "
        f"({spent.input_tokens:,} in, {spent.cached_tokens:,} of them cached; "
        f"{spent.output_tokens:,} out, {spent.reasoning_tokens:,} of them reasoning)"
    )
    return f"{words}, ${spent.dollars:,.4f}" if spent.microdollars else words


async def _top(ask: Ask, scope: Scope, title: str) -> str:
    month = day_of(time.time())[:7]
    ids = await ask.store.spending.top(ask.team_id, scope, month, TOP)
    sums = await ask.store.spending.sums(ask.team_id, [(scope, name, month) for name in ids])
    lines = [
        f"{place}. {_mention(name)}: {render_spent(spent)}"
        for place, (name, spent) in enumerate(zip(ids, sums, strict=True), 1)
    ]
    return "\n".join([f"*{title}, this month*", *(lines or ["nothing yet"])])


def _mention(name: str) -> str:
    if name.startswith(("U", "W")):
        return f"<@{name}>"
    return f"<#{name}>" if name.startswith(("C", "G")) else f"direct messages ({name})"


def _row(errand: Errand, label: str) -> dict[str, Any]:
    return {"type": "actions", "elements": [errand_button(errand, label)]}


COMMAND = Command("/usage", "What you have used, today and this month", answer)
