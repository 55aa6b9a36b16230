"""Writes of a turn that share the round trip of its next write."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.store.claims import Claim
from bot.store.scripts import ScriptCall


@dataclass(slots=True)
class Rider:
    """A call of a script that shares the round trip of a step's intent.

    `reply` is None if the step was not begun.
    """

    script: str
    call: ScriptCall
    reply: Any = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """Values of steps, by name, and the call of `save` for a new conversation."""

    values: Mapping[str, str] = field(default_factory=dict)
    save: ScriptCall | None = None

    def __bool__(self) -> bool:
        return bool(self.values) or self.save is not None

    def calls(self, claim: Claim) -> list[tuple[str, ScriptCall]]:
        """The calls that make these writes; the last one records the values, if there are any."""
        args = {"claim": claim.fence, "name": claim.thread.key, "fields": self.fields}
        record = [("record", ScriptCall(claim.thread, args=args))] if self.values else []
        return [*self.saving, *record]

    @property
    def saving(self) -> list[tuple[str, ScriptCall]]:
        """The call that saves the conversation, if there is one."""
        return [("save", self.save)] if self.save else []

    @property
    def fields(self) -> list[str]:
        """The names and values as a flat list."""
        return [part for item in self.values.items() for part in item]

    def with_value(self, step: str, text: str) -> "Deferred":
        """These and the value of a step."""
        return replace(self, values={**self.values, step: text})

    def without(self, made: "Deferred") -> "Deferred":
        """The remaining writes after `made`, which were taken from this earlier."""
        left = {
            step: text for step, text in self.values.items() if made.values.get(step) is not text
        }
        save = None if self.save is made.save else self.save
        return Deferred(left, save) if left or save else NO_WRITES


NO_WRITES = Deferred()
