"""The page docs/benchmarks.md."""

from collections.abc import Iterable, Sequence

from benchmarks.measuring import Measured

HEAD = """<!-- Written by `python -m benchmarks`. -->

# Benchmarks

What a turn costs, and how that grows. `python -m benchmarks` measures all of it again in ten
minutes on Linux; `python -m benchmarks --against COMMIT` also measures an older commit, in turn
with this one. The tests check counts only (tasks per run, bytes per turn, round trips), never
times.

## Method

- Machine: {machine}.
- Commits: {commits}.
- `bot web` and `bot worker` are processes of their own, as in production, over HTTP. So are Redis
  (every write synced to disk, unless the section says otherwise) and the fake AI server, which does
  not check requests here, and sends events of the same moment in one packet. The local Slack and
  the people are in the process that measures. All of them share the cores, so turns a second are a
  lower bound; "turns a CPU second" counts only the CPU of the bot's own processes. Turns a second
  are those of the middle three fifths of the answers.
- CPU is what the kernel counted for each process, memory is private memory (`smaps_rollup`). The
  first turns of a process are not counted. Where a section has several rounds, the median is shown.
- Overhead is the time from the message to the post of the answer, less the time of the model. The
  first sign is the status line in Slack.
- On a machine that does other work at the same time, compare CPU and counts only.
"""


def render(measured: Sequence[Measured], commits: Sequence[str], machine: str) -> str:
    """The whole page. The first checkout of each section is ours."""
    named = f"`{commits[0]}`" + (f", compared with `{commits[1]}`" if commits[1:] else "")
    parts = [HEAD.format(machine=machine, commits=named)]
    for each in measured:
        parts += [f"## {each.section.name}\n", f"{each.section.note}\n"]
        parts += [_table(each, commits)] if any(each.figures) else []
        parts += [f"Not everything was measured: {why}.\n" for why in dict.fromkeys(each.failures)]
    return "\n".join(parts)


def _table(measured: Measured, commits: Sequence[str]) -> str:
    """A row for each figure. Columns are the sizes, or else the commits."""
    known = {key: None for figures in measured.figures for key in figures}
    names, sizes = (
        dict.fromkeys(name for name, _ in known),
        dict.fromkeys(size for _, size in known),
    )
    compared = list(zip(commits, measured.figures, strict=False))
    if any(sizes):
        head = ["figure", *sizes]
        rows = [
            [name if len(compared) == 1 else f"{name} (`{commit}`)"]
            + [_cell(figures.get((name, size))) for size in sizes]
            for name in names
            for commit, figures in compared
        ]
    else:
        head = ["figure", *(f"`{commit}`" for commit, _ in compared)]
        rows = [
            [name, *(_cell(figures.get((name, ""))) for _, figures in compared)] for name in names
        ]
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(map(_row, [head, rule, *rows])) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
