"""Renders the Helm chart with Helm's own code, in a separate process: it contains a Go runtime."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ops.processes import ROOT

CHART = ROOT / "deploy" / "helm" / "threadbot"
VALIDATORS = ROOT / ".dev" / "validators"
KUBERNETES = VALIDATORS / "kubernetes_validate" / "kubernetes-json-schema" / "v1.37.0-local-strict"

_SCRIPT = """
import json, sys
from helm_python.chart import Chart, lint

chart, asked = sys.argv[1], json.load(sys.stdin)
loaded, out = Chart.load(chart), []
for values in asked:
    try:
        loaded.validate_schema(values)
        linted = lint(chart, values, strict=True)
        out.append({"files": loaded.render(values, name="bot", namespace="ns"), "lint": linted})
    except Exception as error:
        out.append({"error": str(error)})
print(json.dumps(out))
"""


def render(*values: dict[str, Any]) -> list[dict[str, Any]]:
    """For each set of values: `files` and `lint`, or the `error` of Helm.

    Skips the test if Helm's code is not installed (`dev.py test` does that).
    """
    if not (VALIDATORS / "helm_python").exists():
        pytest.skip("no Helm in .dev/validators")
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(CHART)],
        env={"PYTHONPATH": str(VALIDATORS)},
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def objects(rendered: dict[str, Any]) -> list[dict[str, Any]]:
    """The Kubernetes objects of a rendered chart."""
    assert "error" not in rendered, rendered
    files = {name: text for name, text in rendered["files"].items() if name.endswith(".yaml")}
    return [each for text in files.values() for each in yaml.safe_load_all(text) if each]


def schema_file(kind: str, api_version: str) -> Path:
    """Kubernetes' own schema of a kind, which allows no unknown field."""
    group, _, version = api_version.rpartition("/")
    parts = [kind.lower(), *([group.split(".")[0]] if group else []), version]
    return KUBERNETES / f"{'-'.join(parts)}.json"


def find(found: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The object of a kind with this ending of its name."""
    [match] = [o for o in found if o["kind"] == kind and o["metadata"]["name"].endswith(name)]
    return match


def read_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(Path(CHART / "values.yaml").read_text())
    return values
