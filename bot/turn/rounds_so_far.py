"""The rounds of a turn in its journal: the calls, their outcomes, their usage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile

from bot.calls import FunctionCall, FunctionOutput, HostedCall
from bot.models import Run, Usage, add_usage
from bot.store import steps
from bot.store.journal import Turn
from bot.store.step_values import Asked, Called
from bot.store.steps import Generation
from bot.texts.tools import NOT_MADE, UNKNOWN

KEPT_CHARS = 4_000
"""Characters of a result, and of the arguments, that our record keeps."""


@dataclass(frozen=True, slots=True)
class Round:
    """A run that ended with calls, and the result of each call, if known."""

    asked: Asked
    called: tuple[Called, ...]

    @property
    def outputs(self) -> tuple[FunctionOutput, ...]:
        """The outputs for the model."""
        pairs = zip(self.asked.calls, self.called, strict=True)
        return tuple(FunctionOutput(call, called.text, called.approved) for call, called in pairs)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a turn has done so far, read from its journal once."""

    rounds: tuple[Round, ...]
    """Those that ended with calls, in order, including those on lost conversations."""
    hosted: tuple[HostedCall, ...]
    """The calls that the AI server made itself, as far as known."""
    runs: tuple[Run, ...]
    """All that were started."""
    usage: Usage | None
    """That of runs that ended with calls, or failed and were repeated; None without one."""
    outputs: tuple[FunctionOutput, ...]
    """The calls in the form for our record."""
    unknown: tuple[str, ...]
    """The labels of calls that may have taken effect without a result."""
    holds_unkept: bool
    """Whether the turn's conversation holds results that may not be kept."""


def progress_of(turn: Turn) -> Progress:
    """What the turn has done so far."""
    rounds, hosted = tuple(rounds_of(turn)), tuple(hosted_calls(turn))
    return Progress(
        rounds,
        hosted,
        tuple(_runs_of(turn)),
        usage_of_rounds(turn),
        tuple(_kept(output) for output in _outputs_of(turn, generations_of(turn))),
        tuple(_unknown(rounds, hosted)),
        any(called.unkept for each in rounds for called in each.called),
    )


def _runs_of(turn: Turn) -> list[Run]:
    found: list[Run] = []
    for generation in generations_of(turn):
        for family in (map(generation.run_of, count()), map(generation.repeated_run, count(1))):
            runs = takewhile(lambda run: run is not None, map(turn.recall, family))
            found += [run for run in runs if run and run not in found]
    return found


def usage_of_rounds(turn: Turn) -> Usage | None:
    """The usage of runs that ended with calls, or failed and were repeated; None if there were
    none."""
    used: Usage | None = None
    for failed in turn.recall(steps.FAILED_RUNS) or ():
        used = add_usage(used, failed.usage)
    for each in rounds_of(turn):
        used = add_usage(used, each.asked.usage)
    return used


def earlier_outputs(turn: Turn, generation: Generation) -> tuple[FunctionOutput, ...]:
    """The outputs of the rounds on conversations that were lost in this turn."""
    return tuple(_outputs_of(turn, generations_of(turn)[: generation.number]))


def _unknown(rounds: Sequence[Round], hosted: Sequence[HostedCall]) -> list[str]:
    made = {call.approval for call in hosted}
    return [call.label for call in hosted if call.server and call.outcome == "unknown"] + [
        called.label
        for each in rounds
        for call, called in zip(each.asked.calls, each.called, strict=True)
        if called.outcome == "unknown" or (called.approved and call.id not in made)
    ]


def _kept(output: FunctionOutput) -> FunctionOutput:
    text, arguments = output.text, output.call.arguments
    if len(arguments) > KEPT_CHARS:
        arguments = "{}"
    if len(text) > KEPT_CHARS:
        text = f"{text[:KEPT_CHARS]}\n[cut: {KEPT_CHARS} of {len(text)} characters]"
    return FunctionOutput(replace(output.call, arguments=arguments, server=""), text)


def _outputs_of(turn: Turn, generations: Sequence[Generation]) -> Iterator[FunctionOutput]:
    """The outputs of all calls, in order.

    Approvals are replaced by the calls that they allowed. Calls of built-in tools are left out: no
    server takes their items in another conversation, and the answer's text has their results.
    """
    made = {call.approval for call in hosted_calls(turn)}
    for generation in generations:
        rounds = list(_rounds_in(turn, generation))
        for index, hosted in enumerate(_hosted_in(turn, generation)):
            yield from (_as_output(call) for call in hosted if call.server)
            outputs = rounds[index].outputs if index < len(rounds) else ()
            yield from (_settled(output) for output in outputs if output.call.id not in made)


def hosted_calls(turn: Turn) -> list[HostedCall]:
    """The calls that the AI server made itself, as far as known."""
    return [
        call
        for generation in generations_of(turn)
        for calls in _hosted_in(turn, generation)
        for call in calls
    ]


def _hosted_in(turn: Turn, generation: Generation) -> list[tuple[HostedCall, ...]]:
    """The calls that the AI server made itself, run by run."""
    runs = len(list(_rounds_in(turn, generation))) + 1
    hosted = (turn.recall(generation.hosted(number)) for number in range(runs))
    return [each.calls if each else () for each in hosted]


def _as_output(hosted: HostedCall) -> FunctionOutput:
    name = f"{hosted.server}__{hosted.name}"
    said = UNKNOWN if hosted.outcome == "unknown" else hosted.text
    return FunctionOutput(FunctionCall(hosted.id, name, hosted.arguments), said)


def _settled(output: FunctionOutput) -> FunctionOutput:
    """The output; an approved call without a known result may have been made."""
    return replace(output, text=UNKNOWN) if output.approved else output


def rounds_of(turn: Turn) -> Iterator[Round]:
    """All rounds that ended with calls, in order, including those on lost conversations."""
    return (each for generation in generations_of(turn) for each in _rounds_in(turn, generation))


def _rounds_in(turn: Turn, generation: Generation) -> Iterator[Round]:
    for number in count():
        asked = turn.recall(generation.asked(number))
        if asked is None:
            return
        keys = (generation.call_key(number, index) for index in range(len(asked.calls)))
        yield Round(asked, tuple(last_result(turn, key) for key in keys))


def last_result(turn: Turn, key: str) -> Called:
    """The result of a call, as far as known."""
    found: Called | None = None
    for number in count():
        step = steps.call(key, number)
        called = turn.recall(step)
        if called is None:
            break
        found = called
    if found is None and not turn.may_be_done(step):
        return Called(NOT_MADE, "not_run")
    if found is None or turn.is_begun(step):
        return Called(UNKNOWN, "unknown")
    return found


def generations_of(turn: Turn) -> list[Generation]:
    """The generations of the turn so far."""
    return [Generation(number) for number in range((turn.recall(steps.GENERATION) or 0) + 1)]
