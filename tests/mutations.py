"""Payloads with random changes."""

import random
from typing import Any

ODD: list[Any] = [None, True, 0, -1, 1e300, "", "\x00\ud800", [], {}, [[]], [None], {"a": {}}]


def mutate(value: Any, chance: random.Random) -> Any:
    """The same payload with some of its parts replaced, removed or duplicated."""
    if chance.random() < 0.05:
        return chance.choice(ODD)
    if isinstance(value, dict):
        kept = [key for key in value if chance.random() > 0.03]
        return {key: mutate(value[key], chance) for key in kept}
    if isinstance(value, list):
        return [mutate(item, chance) for item in value for _ in range(chance.choice((1, 1, 1, 2)))]
    return value
