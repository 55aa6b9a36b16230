"""The numbers that admins of a workspace may lower: limits, and days of retention."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.settings import Settings
from bot.slack.blocks import Block, input_block, number_input, number_text
from bot.slack.payload import Payload
from bot.slack.workspaces import ceiling
from bot.store.workspace_settings import LIMITS, WorkspaceSettings
from bot.texts import workspace_settings as texts

RETENTION = "retention_days"
MOST_DAYS = 3650.0
MOST = 1e12


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a form. `field` is that of `WorkspaceSettings`, and the id of its block."""

    field: str
    label: str
    least: float
    most: float | None
    """The operator's value, the upper bound; None: no bound."""
    decimals: bool = False

    def block(self, settings: WorkspaceSettings) -> Block:
        """The input, with the present value."""
        value = getattr(settings, self.field)
        hint = texts.number_hint("" if self.most is None else number_text(self.most))
        element = number_input(
            self.field, value, least=self.least, most=self.most, decimals=self.decimals
        )
        return input_block(self.field, self.label, element, hint=hint)

    def read(self, given: Payload) -> float | None:
        """The number of a submission; None if it is empty. Raises ValueError for a wrong one."""
        text = str(given.get("value") or "").strip()
        if not text:
            return None
        value = float(text) if self.decimals else int(text)
        if not self.least <= value <= (MOST if self.most is None else self.most):
            raise ValueError("out of bounds")
        return value

    @property
    def problem(self) -> str:
        """The error for a number out of range, for the person."""
        most = "" if self.most is None else number_text(self.most)
        return texts.not_a_number(number_text(self.least), most)


def numbers_of(id: str, operators: Settings, own: WorkspaceSettings) -> list[Number]:
    """The numbers that a workspace's form offers; none whose bounds leave no choice."""
    days = operators.bot_retention_places.get(id, operators.bot_retention_days)
    found = [Number(RETENTION, texts.RETENTION, 1, float(days) or MOST_DAYS)]
    for name in LIMITS:
        is_cost = name.endswith("cost")
        if not is_cost or operators.bot_prices is not None:
            most, least = ceiling(operators, own, name), 0.01 if is_cost else 1
            label = texts.LIMITS[name.removeprefix("limit_")]
            found.append(Number(f"admin_{name}", label, least, most, is_cost))
    return [each for each in found if each.most is None or each.least <= each.most]


def read_numbers(
    values: Mapping[str, Payload], numbers: Sequence[Number]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of those in the form, and what is wrong, by field."""
    read: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for number in numbers:
        if number.field in values:
            try:
                read[number.field] = number.read(values[number.field])
            except ValueError:
                problems[number.field] = number.problem
    return read, problems
