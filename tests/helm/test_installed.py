"""The chart on a real API server: installed, upgraded, rolled back, uninstalled; its pods admitted or refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm_chart import BROKERS, CHART, KUBERNETES, ROLES, SECURE, helm, objects, pod_of
from helm_values import COMBINATIONS
from kube_server import KubeServer, Refused

EVERY = {**ROLES, **COMBINATIONS}
FROM_THE_HOST = "sound devices"
WORKLOADS = {"station": "statefulsets", "edge": "statefulsets", "worker": "deployments", "delivery": "statefulsets"}
CHANGE = {"role": "worker", "kafka": BROKERS, "config": {"worker": {"batch_images": 7}}, "replicas": 5}


@pytest.fixture(scope="session")
def restricted(kube: KubeServer) -> str:
    """A namespace that admits hardened pods alone."""
    return kube.make_namespace("restricted", "restricted")


@pytest.fixture(scope="session")
def privileged(kube: KubeServer) -> str:
    """A namespace that admits any pod."""
    return kube.make_namespace("devices", "privileged")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_installed_and_goes_without_a_trace(role: str, kube: KubeServer, restricted: str) -> None:
    release = f"first-{role}"
    done = _helm(kube, "install", release, str(CHART), "-n", restricted, values=ROLES[role])
    assert done == "", "the API server, or Pod Security, has remarks"
    workloads = f"/apis/apps/v1/namespaces/{restricted}/{WORKLOADS[role]}"
    assert [item["metadata"]["name"] for item in kube.get(workloads)["items"]] == [f"{release}-seacanary"]
    kinds = _kinds(kube, restricted, release)
    assert {"ServiceMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap"} <= kinds
    _helm(kube, "uninstall", release, "-n", restricted)
    assert _kinds(kube, restricted, release) == set()


def test_upgrade_and_rollback_change_what_runs(kube: KubeServer, restricted: str) -> None:
    _helm(kube, "install", "moving", str(CHART), "-n", restricted, values=ROLES["worker"])
    first = _running(kube, restricted)
    _helm(kube, "upgrade", "moving", str(CHART), "-n", restricted, values=CHANGE)
    second = _running(kube, restricted)
    _helm(kube, "rollback", "moving", "1", "-n", restricted)
    third = _running(kube, restricted)
    history = json.loads(_said(kube, "history", "moving", "-n", restricted, "-o", "json"))
    _helm(kube, "uninstall", "moving", "-n", restricted)
    assert (first["replicas"], second["replicas"], third["replicas"]) == (2, 5, 2)
    assert "batch_images: 7" in second["config"]
    assert first["config"] == third["config"] != second["config"]
    assert first["hash"] == third["hash"] != second["hash"]
    assert [entry["status"] for entry in history] == ["superseded", "superseded", "deployed"]


def test_a_refused_upgrade_leaves_what_ran(kube: KubeServer, restricted: str) -> None:
    _helm(kube, "install", "steady", str(CHART), "-n", restricted, values=ROLES["worker"])
    before = _running(kube, restricted)
    with pytest.raises(AssertionError, match=r"autoscaling\.maxReplicas"):
        _helm(kube, "upgrade", "steady", str(CHART), "-n", restricted,
              values={**CHANGE, "autoscaling": {"enabled": True, "maxReplicas": 40}})  # fmt: skip
    after = _running(kube, restricted)
    _helm(kube, "uninstall", "steady", "-n", restricted)
    assert before == after


def test_a_worker_s_scaler_is_keda_s_where_keda_is(kube: KubeServer, restricted: str) -> None:
    values = {"role": "worker", "kafka": SECURE, "autoscaling": {"enabled": True}}
    _helm(kube, "install", "scaled", str(CHART), "-n", restricted, values=values)
    kinds = _kinds(kube, restricted, "scaled")
    _helm(kube, "uninstall", "scaled", "-n", restricted)
    assert {"ScaledObject", "TriggerAuthentication"} <= kinds


@pytest.mark.parametrize("name", [name for name in EVERY if name != FROM_THE_HOST])
def test_pods_are_admitted_at_the_level_restricted(name: str, kube: KubeServer, restricted: str) -> None:
    kube.create(f"/api/v1/namespaces/{restricted}/pods?dryRun=All", _pod(EVERY[name]))
    assert kube.warnings == []


def test_only_the_level_privileged_admits_devices_of_the_host(
    kube: KubeServer, restricted: str, privileged: str
) -> None:
    pod = _pod(EVERY[FROM_THE_HOST])
    for level in (restricted, kube.make_namespace("baseline", "baseline")):
        with pytest.raises(Refused, match=r"PodSecurity.*hostPath"):
            kube.create(f"/api/v1/namespaces/{level}/pods?dryRun=All", pod)
    kube.create(f"/api/v1/namespaces/{privileged}/pods?dryRun=All", pod)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_api_server_admits_every_object(name: str, kube: KubeServer, privileged: str) -> None:
    done = _helm(kube, "install", "dry", str(CHART), "-n", privileged, "--dry-run=server", values=COMBINATIONS[name])
    assert done == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("station", ("SIMULATED SEA", "seacanary events tail", "port-forward statefulset/sea-seacanary 8320")),
        ("edge", ("SIMULATED SEA", "seacanary_brokers_reached_state")),
        ("worker", ("seacanary_cluster_lag_seconds", "rollout status deployment/sea-seacanary")),
        ("delivery", ("http://127.0.0.1:8330/fleet",)),
        (FROM_THE_HOST, ("pod-security.kubernetes.io/enforce=privileged", "device plugin")),
        ("workers on GPUs", ("KEDA, on images that wait",)),
    ],
)
def test_notes_say_what_to_do_next(name: str, words: tuple[str, ...], kube: KubeServer, privileged: str) -> None:
    notes = _said(kube, "install", "sea", str(CHART), "-n", privileged, "--dry-run=server", values=EVERY[name])
    for word in words:
        assert word in notes.partition("NOTES:")[2]


def test_the_server_is_of_the_version_the_objects_are_checked_against(kube: KubeServer) -> None:
    assert kube.get("/version")["gitVersion"] == f"v{KUBERNETES}"


def _helm(kube: KubeServer, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
    """Run helm; what it warned of."""
    return _run(kube, arguments, values)[1]


def _said(kube: KubeServer, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
    return _run(kube, arguments, values)[0]


def _run(kube: KubeServer, arguments: tuple[str, ...], values: Mapping[str, Any] | None) -> tuple[str, str]:
    more: list[str] = []
    if values is not None:
        file = Path(kube.kubeconfig).with_name("values.yaml")
        file.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        more = ["-f", str(file)]
    done = helm(*arguments, *more, kubeconfig=kube.kubeconfig)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def _pod(values: Mapping[str, Any]) -> dict[str, Any]:
    """A pod as the workload's controller would make it."""
    template = pod_of(objects(values))
    spec = {**template["spec"], "volumes": list(template["spec"]["volumes"])}
    spec.pop("runtimeClassName", None)  # of classes that this server does not have
    spec.pop("priorityClassName", None)
    claimed = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    for name in sorted(claimed - {volume["name"] for volume in spec["volumes"]}):
        spec["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": name}})
    return {"metadata": {**template["metadata"], "name": "pod"}, "spec": spec}


def _running(kube: KubeServer, namespace: str) -> dict[str, Any]:
    """What the only Deployment runs."""
    [workload] = kube.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    name = workload["metadata"]["name"]
    return {
        "replicas": workload["spec"]["replicas"],
        "hash": workload["spec"]["template"]["metadata"]["annotations"]["seacanary.org/config-sha256"],
        "config": kube.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")["data"]["config.yaml"],
    }


def _kinds(kube: KubeServer, namespace: str, release: str) -> set[str]:
    """Kinds of objects of a release that are there."""
    places = {
        "/api/v1": ("configmaps", "services", "serviceaccounts"),
        "/apis/apps/v1": ("deployments", "statefulsets"),
        "/apis/policy/v1": ("poddisruptionbudgets",),
        "/apis/networking.k8s.io/v1": ("networkpolicies",),
        "/apis/autoscaling/v2": ("horizontalpodautoscalers",),
        "/apis/monitoring.coreos.com/v1": ("servicemonitors", "prometheusrules"),
        "/apis/keda.sh/v1alpha1": ("scaledobjects", "triggerauthentications"),
    }
    selector = f"labelSelector=app.kubernetes.io/instance={release}"
    return {
        found["kind"].removesuffix("List")
        for group, plurals in places.items()
        for plural in plurals
        if (found := kube.get(f"{group}/namespaces/{namespace}/{plural}?{selector}"))["items"]
    }
