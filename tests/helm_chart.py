"""The Helm chart, rendered by a real helm, for tests."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "seacanary"
TOOLS = ROOT / "build" / "kubernetes"
HELM, APISERVER = TOOLS / "helm", TOOLS / "kube-apiserver"
KUBERNETES = "1.36.3"

# What a cluster with the Prometheus operator, KEDA and a metrics adapter knows besides Kubernetes itself.
MONITORING = ("monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule")
KEDA = ("keda.sh/v1alpha1/ScaledObject",)
EXTERNAL = ("external.metrics.k8s.io/v1beta1",)

BROKERS = {"bootstrapServers": ["kafka-1.example.org:9093", "kafka-2.example.org:9093"]}
SECURE = {
    **BROKERS,
    "login": {"existingSecret": "canary-kafka"},
    "tls": {"enabled": True, "existingSecret": "kafka-ca", "certificateKey": "tls.crt", "keyKey": "tls.key"},
}
ROLES: Mapping[str, Mapping[str, Any]] = {
    "station": {"role": "station"},
    "edge": {"role": "edge", "kafka": BROKERS},
    "worker": {"role": "worker", "kafka": BROKERS},
    "delivery": {"role": "delivery", "kafka": BROKERS},
}


def helm(*arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm; what it says about linked files is taken out of its messages.

    It keeps what it finds out of a cluster in a home of its own, beside the kubeconfig.
    """
    with tempfile.TemporaryDirectory() as empty:
        home = str(kubeconfig.parent) if kubeconfig else empty
        environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": str(kubeconfig or os.devnull)}
        done = subprocess.run(
            [HELM, *arguments], check=False, env=environment, capture_output=True, text=True, timeout=120
        )
    done.stderr = "\n".join(line for line in done.stderr.splitlines() if "found symbolic link" not in line)
    return done


def render(values: Mapping[str, Any], apis: Sequence[str] = (), *more: str) -> subprocess.CompletedProcess[str]:
    """`helm template` with a file of values, as for a cluster that knows certain APIs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.yaml"
        file.write_text(yaml.safe_dump(dict(values)), encoding="utf-8")
        known = [f"--api-versions={api}" for api in apis]
        return helm("template", "sea", str(CHART), "-f", str(file), f"--kube-version={KUBERNETES}", *known, *more)


def objects(values: Mapping[str, Any], apis: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The objects that values come to."""
    return list(_objects(json.dumps(dict(values)), tuple(apis)))


@cache
def _objects(values: str, apis: tuple[str, ...]) -> list[dict[str, Any]]:
    done = render(json.loads(values), apis)
    assert done.returncode == 0, done.stderr
    return [tree for tree in yaml.load_all(done.stdout, yaml.CSafeLoader) if tree]


def of_kind(trees: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    """Those of one kind."""
    return [tree for tree in trees if tree["kind"] == kind]


def pod_of(trees: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The template of the only workload's pods."""
    [workload] = of_kind(trees, "Deployment") + of_kind(trees, "StatefulSet")
    template: Mapping[str, Any] = workload["spec"]["template"]
    return template


def config_of(trees: Sequence[Mapping[str, Any]]) -> str:
    """The service's configuration as the pod will read it."""
    [text] = [tree["data"]["config.yaml"] for tree in of_kind(trees, "ConfigMap") if "config.yaml" in tree["data"]]
    assert isinstance(text, str)
    return text
