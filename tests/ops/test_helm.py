"""The Helm chart, rendered by Helm and checked with the schemas of Kubernetes."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from bot.settings import SECRETS, Settings
from bot.telemetry import metrics
from bot.timing import WorkerTiming
from tests.ops.helm import CHART, KUBERNETES, find, objects, read_values, render, schema_file
from tests.ops.processes import ROOT

NEEDED = {"existingSecret": "secrets"}
EVERYTHING: dict[str, Any] = {
    "backup": {"enabled": True, "keepDays": 7},
    "existingSecret": "secrets",
    "env": {"OPENAI_MODEL": "m", "BOT_FEEDBACK": False, "BOT_CONCURRENCY": 500},
    "files": {"tools.toml": 'own = ["current_time"]\n'},
    "imagePullSecrets": [{"name": "registry"}],
    "ingress": {"enabled": True, "host": "bot.example.com", "tlsSecret": "tls", "className": "n"},
    "networkPolicy": {"egress": [{"ports": [{"port": 11434, "protocol": "TCP"}]}]},
    "nodeSelector": {"disk": "ssd"},
    "podAnnotations": {"team": "it"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "worker": {"autoscaling": {"kind": "hpa"}},
}
KEDA = NEEDED | {"worker": {"autoscaling": {"kind": "keda"}}}
OUTSIDE = NEEDED | {"valkey": {"enabled": False}, "networkPolicy": {"enabled": False}}
VALID = [NEEDED, EVERYTHING, KEDA, OUTSIDE]
WRONG: list[dict[str, Any]] = [
    {},
    {"existingSecret": ""},
    NEEDED | {"replicas": 3},
    NEEDED | {"web": {"replicas": 0}},
    NEEDED | {"env": {"SLACK_BOT_TOKEN": "xoxb-1"}},
    NEEDED | {"env": {"PORT": "80"}},
    NEEDED | {"ingress": {"enabled": True}},
    NEEDED | {"worker": {"autoscaling": {"kind": "cpu"}}},
    NEEDED | {"files": {"../tools.toml": ""}},
    NEEDED | {"valkey": {"storage": "much"}},
    NEEDED | {"backup": {"enabled": True, "schedule": "hourly"}},
    NEEDED | {"backup": {"enabled": True, "keepDays": 0}},
]
CUSTOM = {"ServiceMonitor", "ScaledObject"}
"""Kinds that Kubernetes does not define itself."""


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    return render(*VALID, *WRONG)


def test_helm_finds_nothing_to_complain_about(rendered: list[dict[str, Any]]) -> None:
    for each in rendered[: len(VALID)]:
        assert [m for m in each["lint"]["messages"] if m["severity"] > 1] == []
        assert each["lint"]["errors"] == []


def test_wrong_values_are_refused(rendered: list[dict[str, Any]]) -> None:
    accepted = [v for v, r in zip(WRONG, rendered[len(VALID) :], strict=True) if "error" not in r]
    assert accepted == []


def test_every_object_fits_the_schema_of_kubernetes(rendered: list[dict[str, Any]]) -> None:
    definitions = json.loads((KUBERNETES / "_definitions.json").read_text())
    resource = Resource.from_contents(definitions, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("_definitions.json", resource)
    every = {json.dumps(found): found for each in rendered[:3] for found in objects(each)}
    for found in every.values():
        if found["kind"] not in CUSTOM:
            schema = json.loads(schema_file(found["kind"], found["apiVersion"]).read_text())
            errors = Draft202012Validator(schema, registry=registry).iter_errors(found)
            assert [error.message for error in errors] == [], found["metadata"]["name"]


def pods(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The specs of all pods, by component."""
    specs = {}
    for each in found:
        pod = each if each["kind"] == "Pod" else each.get("spec", {}).get("template")
        if pod and pod.get("spec", {}).get("containers"):
            labels = pod["metadata"]["labels"]
            specs[labels["app.kubernetes.io/component"]] = pod["spec"]
    return specs


def test_no_pod_can_change_itself_or_gain_rights(rendered: list[dict[str, Any]]) -> None:
    specs = pods(objects(rendered[0]))
    assert specs.keys() == {"web", "worker", "valkey", "doctor"}
    for spec in specs.values():
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, "BOT_WEB_PORT would look like a setting"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001, "the user of the image"
        for container in spec["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_secrets_come_from_the_secret_only(rendered: list[dict[str, Any]]) -> None:
    for each in rendered[: len(VALID)]:
        found = objects(each)
        assert "Secret" not in {o["kind"] for o in found}
        for component, spec in pods(found).items():
            if component != "valkey":
                sources = spec["containers"][0]["envFrom"]
                assert sources == [{"secretRef": {"name": "secrets"}}]


def test_probes_ask_the_routes_of_the_process(rendered: list[dict[str, Any]]) -> None:
    for component, port in (("web", 3000), ("worker", 3001)):
        [container] = pods(objects(rendered[0]))[component]["containers"]
        env = {each["name"]: each.get("value") for each in container["env"]}
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        assert str(port) == env["PORT" if component == "web" else "BOT_HEALTH_PORT"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert [n for n in env if n.lower() not in Settings.model_fields] == ["VALKEY_PASSWORD"]


def test_the_grace_period_leaves_time_for_the_hand_over(rendered: list[dict[str, Any]]) -> None:
    specs = pods(objects(rendered[0]))
    for component in ("web", "worker"):
        grace = specs[component]["terminationGracePeriodSeconds"]
        assert grace >= 5 + 3 * WorkerTiming().shutdown_grace


def test_a_rollout_and_an_eviction_leave_pods_that_work(rendered: list[dict[str, Any]]) -> None:
    found = objects(rendered[0])
    for component in ("web", "worker"):
        deployment = find(found, "Deployment", component)
        rolling = deployment["spec"]["strategy"]["rollingUpdate"]
        assert rolling == {"maxSurge": 1, "maxUnavailable": 0}
        assert deployment["spec"]["replicas"] == 2
        selector = find(found, "PodDisruptionBudget", component)["spec"]["selector"]["matchLabels"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()
        service = find(found, "Service", component)["spec"]["selector"]
        assert service.items() <= labels.items()
        other = {"web": "worker", "worker": "web"}[component]
        pod = find(found, "Deployment", other)["spec"]["template"]["metadata"]["labels"]
        assert not service.items() <= pod.items()


def test_valkey_keeps_what_was_acknowledged(rendered: list[dict[str, Any]]) -> None:
    found = objects(rendered[0])
    [valkey] = pods(found)["valkey"]["containers"]
    command = " ".join([*valkey["command"], *valkey["args"]])
    assert "--appendonly yes --appendfsync always --maxmemory-policy noeviction" in command
    assert "bitnami" not in valkey["image"]
    assert find(found, "StatefulSet")["spec"]["volumeClaimTemplates"]
    [bot] = pods(found)["worker"]["containers"]
    [url] = [each["value"] for each in bot["env"] if each["name"] == "REDIS_URL"]
    assert f"@{find(found, 'Service', 'valkey')['metadata']['name']}:6379" in url
    names = [each["name"] for each in bot["env"]]
    assert names.index("VALKEY_PASSWORD") < names.index("REDIS_URL"), "expanded in order"


def test_an_outside_redis_needs_nothing_of_the_chart(rendered: list[dict[str, Any]]) -> None:
    found = objects(rendered[3])
    assert {o["kind"] for o in found} == {"Deployment", "PodDisruptionBudget", "Service", "Pod"}
    [bot] = pods(found)["worker"]["containers"]
    assert not {"REDIS_URL", "VALKEY_PASSWORD"} & {each["name"] for each in bot["env"]}


def test_valkey_is_reached_by_the_bot_only(rendered: list[dict[str, Any]]) -> None:
    policy = find(objects(rendered[0]), "NetworkPolicy", "valkey")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    [rule] = policy["ingress"]
    [source] = rule["from"]
    [who] = source["podSelector"]["matchExpressions"]
    assert who["values"] == ["web", "worker", "doctor", "backup"]


def test_a_backup_is_made_on_a_schedule_into_a_volume_that_stays(
    rendered: list[dict[str, Any]],
) -> None:
    assert not [o for o in objects(rendered[0]) if o["kind"] == "CronJob"]
    found = objects(rendered[1])
    job = find(found, "CronJob", "backup")["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["args"] == ["backup", "/backups", "--keep-days", "7"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    claim = find(found, "PersistentVolumeClaim", "backups")["metadata"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "backups"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["name"]
    assert claim["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert {"mountPath": "/backups", "name": "backups"} in container["volumeMounts"]


@pytest.mark.parametrize("number", [1, 2])
def test_workers_scale_on_the_age_of_the_oldest_message(
    rendered: list[dict[str, Any]], number: int
) -> None:
    found = objects(rendered[number])
    assert "replicas" not in find(found, "Deployment", "worker")["spec"], "the scaler sets them"
    kind = {1: "HorizontalPodAutoscaler", 2: "ScaledObject"}[number]
    scaler = yaml.safe_dump(find(found, kind))
    [age] = [m.name for m in metrics.queue_oldest.collect()]
    assert age in scaler
    assert "stabilizationWindowSeconds: 300" in scaler


def test_prometheus_gets_the_token_of_the_metrics(rendered: list[dict[str, Any]]) -> None:
    monitors = [o for o in objects(rendered[1]) if o["kind"] == "ServiceMonitor"]
    assert len(monitors) == 2
    for monitor in monitors:
        [endpoint] = monitor["spec"]["endpoints"]
        token = endpoint["authorization"]["credentials"]
        assert token == {"name": "secrets", "key": "BOT_METRICS_TOKEN"}


def test_the_ingress_has_the_routes_for_others(rendered: list[dict[str, Any]]) -> None:
    """Probes and metrics stay inside the cluster."""
    [rule] = find(objects(rendered[1]), "Ingress")["spec"]["rules"]
    paths = tuple(each["path"] for each in rule["http"]["paths"])
    page = (ROOT / "docs" / "reference" / "http.md").read_text()
    routes = set(re.findall(r"^\| `(?:GET|POST) (/[^`]+)`", page, re.M))
    inside = {"/healthz", "/readyz", "/metrics"}
    assert {route for route in routes if not route.startswith(paths)} == inside


def test_no_secret_can_be_given_as_a_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    refused = schema["properties"]["env"]["propertyNames"]["not"]["enum"]
    assert {name.upper() for name in SECRETS} <= set(refused)


def test_files_are_mounted_and_a_change_restarts_the_pods(
    rendered: list[dict[str, Any]],
) -> None:
    with_files, without = objects(rendered[1]), objects(rendered[0])
    assert find(with_files, "ConfigMap")["data"] == EVERYTHING["files"]
    [container] = pods(with_files)["worker"]["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts["config"] == "/config"
    sums = [
        find(found, "Deployment", "worker")["spec"]["template"]["metadata"]["annotations"]
        for found in (with_files, without)
    ]
    assert sums[0]["checksum/files"] != sums[1]["checksum/files"]


def test_the_chart_has_the_version_of_the_bot() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == project["version"]
    assert chart["description"].startswith("A self-hosted AI assistant")


def test_every_value_has_a_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    check_covered(read_values(), schema, schema, "values")


def check_covered(values: Any, schema: Any, root: Any, where: str) -> None:
    if ref := schema.get("$ref"):
        schema = root["definitions"][ref.rpartition("/")[2]]
    if not isinstance(values, dict) or "properties" not in schema:
        return
    assert schema["additionalProperties"] is False, where
    assert values.keys() <= schema["properties"].keys(), where
    for name, value in values.items():
        check_covered(value, schema["properties"][name], root, f"{where}.{name}")


def test_the_page_shows_values_that_the_chart_takes() -> None:
    page = Path(ROOT / "docs" / "how-to" / "kubernetes.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```yaml\n")[1:]]
    shown = [NEEDED | yaml.safe_load(block) for block in blocks]
    assert shown
    assert [each.get("error") for each in render(*shown)] == [None] * len(shown)
