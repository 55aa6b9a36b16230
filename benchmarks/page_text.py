"""The page docs/benchmarks.md."""

from collections.abc import Mapping, Sequence

from benchmarks.sections import Figures

HEAD = """<!-- Written by `python -m benchmarks`. -->

# Benchmarks

What a turn costs, and how that grows. `python -m benchmarks` measures all of it again in about ten
minutes on Linux; `python -m benchmarks --against COMMIT` also measures an older commit, in turn
with this one. The tests check counts only (tasks per run, bytes per turn, round trips), never
times.

## Method

- Machine: {machine}.
- Commits: {commits}.
- `bot web` and two `bot worker` are processes of their own, as in production, over HTTP. So are
  Redis (every write synced to disk) and the fake AI server. The local Slack and the people are in
  the process that measures. All of them share the cores, so turns a second are a lower bound.
- CPU is what the kernel counted for each process, memory is private memory (`smaps_rollup`). The
  first turns of a process are not counted. Where a section has several rounds, the median is shown.
- Overhead is the time from the message to the post of the answer, less the time of the model. The
  first sign is the status line in Slack.
"""

NOTES = {
    "Short answers": "16 people at once; answers of 195 characters, 0.4 s after the question.",
    "Long answers, token by token": (
        "24 people at once; answers of 1,300 characters in 3 s, with an event for each token."
    ),
    "Without a pause": "80 people at once, short answers: the workers have no pause.",
    "The engine alone": "Without Slack and Redis: an answer of 325 events, and one poll of a run.",
    "Start and memory": "One `bot web`, two `bot worker`; memory after 16 turns.",
    "By the length of an answer": (
        "One answer at a time, streamed to Slack, with an event for every four characters."
    ),
    "By the conversations in Redis": "8 people at once, short answers.",
    "By the runs in flight": (
        "Runs that do not end, in one worker. At most 100 are streamed, the others polled; the "
        "CPU is that of ten seconds in which nothing else happens."
    ),
    "Forked processes": "",
}


def render(found: Mapping[str, Sequence[Figures]], commits: Sequence[str], machine: str) -> str:
    """The whole page. The first checkout of each section is ours."""
    named = f"`{commits[0]}`" + (f", compared with `{commits[1]}`" if commits[1:] else "")
    parts = [HEAD.format(machine=machine, commits=named)]
    for name, checkouts in found.items():
        parts.append(f"## {name}\n")
        if NOTES.get(name):
            parts.append(f"{NOTES[name]}\n")
        parts.append(_table(checkouts, commits))
    return "\n".join(parts)


def _table(checkouts: Sequence[Figures], commits: Sequence[str]) -> str:
    heads = ["figure", *(f"`{commit}`" for commit in commits[: len(checkouts)])]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * len(checkouts)}"]
    for name in dict.fromkeys(name for figures in checkouts for name in figures):
        cells = [_cell(figures.get(name)) for figures in checkouts]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return (
        f"{value:,.0f}"
        if abs(value) >= 100
        else f"{value:.2f}"
        if abs(value) < 10
        else f"{value:.1f}"
    )
