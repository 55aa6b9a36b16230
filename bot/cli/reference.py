"""The generated pages of the documentation: commands, metrics and log events."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from bot.cli.main import commands
from bot.settings import render_table
from bot.slack.scopes import render_table as render_scopes_table
from bot.slack.surfaces.commands import COMMANDS
from bot.telemetry import metrics
from bot.telemetry.event_meanings import MEANINGS

HEAD = "<!-- Generated from the code by `python3 dev.py generate`. -->\n"
LEVELS = ("debug", "info", "warning", "error")


def render_pages() -> dict[str, str]:
    """The text of each page, by its name in `docs/reference`."""
    return {
        "settings.md": render_settings(),
        "commands.md": render_commands(),
        "metrics.md": render_metrics(),
        "log-events.md": render_log_events(),
        "scopes.md": render_scopes(),
    }


def render_settings() -> str:
    return f"""{HEAD}
# Settings

Read from the environment, else from `.env` in the folder in which the bot starts. `.env.example`
lists them with notes, `bot init` writes the ones that are needed, `bot doctor` checks them all.

{render_table()}
"""


def render_scopes() -> str:
    """The scopes of the app."""
    return f"""{HEAD}
# Scopes

What the app asks for, and what is missing without it, for an admin who has to approve it. All are
bot scopes: the bot acts as itself, and sees only channels that it was invited to.

{render_scopes_table()}

`bot manifest --minimal` prints the manifest of the smallest app: it answers mentions, and has no
commands, no App Home, no direct messages and no context but the mentions themselves. `bot doctor`
accepts it and names what is missing. Scopes that are added later need a reinstallation.
"""


def render_commands() -> str:
    """The command line and the slash commands."""
    shell = "\n".join(_command_lines(commands, "bot"))
    slash = "\n".join(f"| `{command.name}` | {command.description} |" for command in COMMANDS)
    return f"""{HEAD}
# Commands

## In a shell

`threadbot` is another name of `bot`, and `python -m bot` a third. Exit codes: 1 for a failed check,
2 for wrong arguments, 78 for a missing or wrong setting, 69 if Redis or Slack cannot be reached at
the start.

{shell}

## In Slack

| command | what it does |
|---|---|
{slash}

With `BOT_COMMAND_PREFIX=test-` they are called `/test-reset` and so on, as in the manifest of
`bot manifest --prefix test-`. Inside a thread Slack allows no commands: write `reset` or `stop`
there, or use the menu of a message.
"""


def _command_lines(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from _command_lines(child, f"{name} {child.name}")
        return
    yield f"### `{name}`\n"
    yield f"{command.get_short_help_str(limit=400)}\n"
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        yield "| option | what it does |\n|---|---|"
        yield from (f"| `{_option(each)}` | {each.help or ''} |" for each in options)
        yield ""


def _option(option: click.Option) -> str:
    names = ", ".join((*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    value = option.make_metavar(click.Context(commands)).strip("[]")
    return f"{names} {value.replace('|', ' or ')}"  # a bar would begin another cell


def render_metrics() -> str:
    """All metrics, by name."""
    rows = []
    for collector in dict.fromkeys(metrics.REGISTRY._collector_to_names):
        labels = ", ".join(f"`{name}`" for name in getattr(collector, "_labelnames", ()))
        rows += [
            f"| `{family.name}` | {family.type} | {labels} | {family.documentation.rstrip('.')} |"
            for family in collector.collect()
            if family.name.startswith("bot_")
        ]
    return f"""{HEAD}
# Metrics

Served at `/metrics`: on `PORT` to callers with `BOT_METRICS_TOKEN`, on `BOT_HEALTH_PORT` to all. No
label holds a person, a channel or a thread. Counters end in `_total`.

| metric | type | labels | what it counts |
|---|---|---|---|
{chr(10).join(sorted(rows))}
"""


@dataclass
class LogEvent:
    """A log event as the code has it."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def render_log_events() -> str:
    """All log events at INFO and above. Raises ValueError if `MEANINGS` does not fit the code."""
    found = find_log_events(Path(__file__).parents[1])
    events = {name: event for name, event in found.items() if event.levels != {"debug"}}
    if wrong := events.keys() ^ MEANINGS.keys():
        raise ValueError(f"bot/telemetry/event_meanings.py: add or remove {sorted(wrong)}")
    rows = [
        f"| `{name}` | {'/'.join(sorted(event.levels, key=LEVELS.index))} | {MEANINGS[name]} "
        f"| {', '.join(f'`{each}`' for each in sorted(event.fields))} |"
        for name, event in sorted(events.items())
    ]
    return f"""{HEAD}
# Log events

On a server each line is a JSON object with `event`, `level`, `timestamp` and the fields below; in a
turn also `thread` and `turn`. Texts of messages, names and secrets are never logged. Events at
DEBUG are left out here. At `error`, an operator should look.

| event | level | what it means | fields |
|---|---|---|---|
{chr(10).join(rows)}
"""


def find_log_events(folder: Path) -> dict[str, LogEvent]:
    """Every call of `log.<level>("event", field=…)` in the folder."""
    events: dict[str, LogEvent] = defaultdict(LogEvent)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (level := _level(node.func)):
                for name in _event_names(node.args[0]) if node.args else ():
                    events[name].levels.add(level)
                    fields = {word.arg for word in node.keywords if word.arg} - {"exc_info"}
                    events[name].fields |= fields
    return events


def _level(function: ast.expr) -> str:
    """The level of a call of the log; "" for other calls."""
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return ""
    if function.value.id != "log":
        return ""
    level = "error" if function.attr == "exception" else function.attr
    return level if level in LEVELS else ""


def _event_names(first: ast.expr) -> tuple[str, ...]:
    """A constant, or either of two."""
    if isinstance(first, ast.IfExp):
        return (*_event_names(first.body), *_event_names(first.orelse))
    return (str(first.value),) if isinstance(first, ast.Constant) else ()
