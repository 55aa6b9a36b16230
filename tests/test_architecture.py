"""The rules of import: who may use whom, and which folder owns which vendor."""

import ast
from pathlib import Path

import pytest

BOT = Path(__file__).parent.parent / "bot"

VENDORS = {
    "slack_bolt": "bot.slack",
    "slack_sdk": "bot.slack",
    "openai": "bot.engines",
    "redis": "bot.store",
}

GROUND = {
    "bot",
    "bot.models",
    "bot.errors",
    "bot.settings",
    "bot.telemetry.log",
    "bot.checks",
    "bot.telemetry.metrics",
    "bot.telemetry.trace",
}
LEAVES = {
    "bot.store",
    "bot.tools",
    "bot.slack.markdown",
    "bot.engines.polling",
    "bot.texts.answers",
    "bot.media",
}
LOOKS = {"bot.slack.threads", "bot.slack.files"}
CENTRE = {
    "bot.turn.turn",
    "bot.turn.gate",
    "bot.turn.limits",
    "bot.turn.throttle",
    "bot.turn.prices",
    "bot.jobs",
    "bot.sweeper",
    "bot.cli.doctor",
}
ROOTS = {
    "bot.cli.main",
    "bot.tryout",
    "bot.cli.generate",
    "bot.probe",
    "bot.__main__",
}

ALLOWED = {
    "bot.playground": {"bot.playground"},
    "bot.models": set(),
    "bot.errors": GROUND,
    "bot.settings": GROUND,
    "bot.telemetry.log": GROUND,
    "bot.texts.answers": GROUND,
    "bot.checks": set(),
    "bot.telemetry.metrics": GROUND,
    "bot.telemetry.trace": {"bot"},
    "bot.health": GROUND | {"bot.store"},
    "bot.store": GROUND | {"bot.store"},
    "bot.engines": GROUND | LEAVES - {"bot.store", "bot.slack.markdown"} | {"bot.engines"},
    "bot.slack": GROUND | {"bot.store", "bot.slack", "bot.texts.answers", "bot.media"},
    "bot.slack.markdown": {"bot.models", "bot.slack.markdown"},
    "bot.turn.access": GROUND | {"bot.slack.people", "bot.store"},
    "bot.media": set(),
    "bot.turn.files_out": GROUND | LEAVES | {"bot.engines", "bot.slack.files"},
    "bot.turn.retraction": GROUND | LEAVES | {"bot.engines"},
    "bot.turn.files_in": GROUND | LEAVES | {"bot.slack.files"},
    "bot.turn.context": GROUND | LEAVES | {"bot.turn.gate", "bot.slack.threads"},
    "bot.turn.prices": GROUND,
    "bot.turn.throttle": GROUND | LEAVES,
    "bot.turn.limits": GROUND | LEAVES | {"bot.turn.prices"},
    "bot.turn.gate": GROUND | LEAVES | {"bot.turn.access", "bot.turn.limits", "bot.slack.people"},
    "bot.turn.rollover": GROUND | LEAVES | {"bot.turn.limits", "bot.engines"},
    "bot.sweeper": GROUND | LEAVES | {"bot.engines"},
    "bot.cli.feedback": GROUND | LEAVES,
    "bot.jobs": GROUND
    | LEAVES
    | {"bot.jobs", "bot.engines", "bot.slack.direct_messages", "bot.slack.people"}
    | {"bot.slack.surfaces.blocks"},
    "bot.turn.turn": GROUND
    | LEAVES
    | {
        "bot.engines",
        "bot.slack.answer.reply",
        "bot.turn.gate",
        "bot.turn.limits",
        "bot.jobs",
        "bot.turn.rollover",
    }
    | {
        "bot.turn.context",
        "bot.turn.files_in",
        "bot.turn.files_out",
        "bot.turn.retraction",
        "bot.turn.throttle",
        *LOOKS,
    },
    "bot.cli.dead": GROUND | LEAVES,
    "bot.cli.doctor": GROUND
    | {"bot.engines.checks", "bot.slack.checks", "bot.store.checks", "bot.turn.prices"},
    "bot.worker.loop": GROUND | LEAVES | {"bot.turn.turn"},
    "bot.app": GROUND
    | LEAVES
    | CENTRE
    | {"bot.engines", "bot.slack", "bot.worker.loop", "bot.health"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(BOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(BOT.rglob("*.py"))}


def imports(path: Path, *, for_types: bool = True) -> set[str]:
    """Every module that the file imports, resolved to the modules of `bot` where it is one.

    Without `for_types`, what stands under `if TYPE_CHECKING` is left out: it is never carried out.
    """
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    if not for_types:
        tree.body = [node for node in tree.body if not is_for_types(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else str(node.module))
    return found


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(place + ".")


def rule_for(module: str) -> str | None:
    """The most specific place with a rule of its own."""
    places = [place for place in ALLOWED if within(module, place)]
    return max(places, key=len, default=None)


@pytest.mark.parametrize("module", MODULES)
def test_vendors_stay_in_their_folders(module: str) -> None:
    for name in imports(MODULES[module]):
        owner = VENDORS.get(name.split(".")[0])
        assert owner is None or within(module, owner), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_lies_below_it(module: str) -> None:
    place = rule_for(module)
    if place is None:
        known = any(within(module, root) for root in ROOTS | GROUND - {"bot"})
        assert known or module == "bot", f"{module} has no place in the rules"
        return
    for name in imports(MODULES[module]):
        if name.split(".")[0] == "bot":
            allowed = ALLOWED[place]
            assert any(
                within(name, other) if other != "bot" else name == "bot" for other in allowed
            ), f"{module} imports {name}"


def test_there_are_no_import_cycles() -> None:
    graph = {
        module: {name for name in imports(path, for_types=False) if name in MODULES} - {module}
        for module, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for name in sorted(graph[module]):
                visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())
