"""What helm makes of values: valid objects, hardened pods, a policy that denies, configurations the service accepts."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from helm_chart import (
    BROKERS,
    CHART,
    EXTERNAL,
    KEDA,
    KUBERNETES,
    MONITORING,
    ROLES,
    SECURE,
    config_of,
    helm,
    objects,
    of_kind,
    pod_of,
    render,
)
from helm_values import COMBINATIONS, SIMULATED, hears

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="pip install '.[helm-test]'")

EVERY = {**ROLES, **COMBINATIONS}
EACH = pytest.mark.parametrize("values", EVERY.values(), ids=EVERY)
ALL_APIS = (*MONITORING, *KEDA, *EXTERNAL)


@EACH
def test_objects_are_what_kubernetes_knows(values: Mapping[str, Any]) -> None:
    for tree in objects(values):
        kubernetes_validate.validate(tree, KUBERNETES.rpartition(".")[0], strict=True)


@pytest.mark.parametrize("values", ROLES.values(), ids=ROLES)
def test_lint_has_nothing_to_say(values: Mapping[str, Any]) -> None:
    sets = [f"--set={name}={value}" for name, value in values.items() if isinstance(value, str)]
    brokers = ["--set=kafka.bootstrapServers={kafka.example.org:9092}"] if "kafka" in values else []
    done = helm("lint", "--strict", str(CHART), *sets, *brokers, f"--kube-version={KUBERNETES}")
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@EACH
def test_pods_have_no_more_rights_than_they_need(values: Mapping[str, Any]) -> None:
    spec = pod_of(objects(values))["spec"]
    [container] = spec["containers"]
    security = container["securityContext"]
    mounts_host = any("hostPath" in volume for volume in spec["volumes"])
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["readOnlyRootFilesystem"] is True
    assert security.get("privileged", False) is mounts_host
    if not mounts_host:
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["allowPrivilegeEscalation"] is False


@EACH
def test_every_folder_that_is_written_to_is_a_volume(values: Mapping[str, Any]) -> None:
    trees = objects(values)
    spec = pod_of(trees)["spec"]
    claims = [
        claim["metadata"]["name"]
        for workload in of_kind(trees, "StatefulSet")
        for claim in workload["spec"]["volumeClaimTemplates"]
    ]
    volumes = {volume["name"] for volume in spec["volumes"]} | set(claims)
    mounts = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    assert set(mounts.values()) == volumes
    assert mounts["/tmp"] == "tmp"
    assert mounts["/var/lib/seacanary"] == "state"
    assert ("evidence" in claims) is (mounts.get("/var/lib/seacanary/evidence") == "evidence")
    assert ("state" in claims) is (values["role"] != "worker")


@EACH
def test_probes_ask_a_port_that_is_there(values: Mapping[str, Any]) -> None:
    [container] = pod_of(objects(values))["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    asked = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in asked.values()} <= ports
    assert [probe["path"] for probe in asked.values()] == ["/healthz", "/healthz", "/readyz"]


@EACH
def test_selectors_find_the_pods(values: Mapping[str, Any]) -> None:
    trees = objects(values)
    labels = pod_of(trees)["metadata"]["labels"].items()
    [budget] = of_kind(trees, "PodDisruptionBudget")
    [policy] = of_kind(trees, "NetworkPolicy")
    selectors = [budget["spec"]["selector"]["matchLabels"], policy["spec"]["podSelector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in of_kind(trees, "Service")]
    for selector in selectors:
        assert selector.items() <= labels


@pytest.mark.parametrize("role", ["edge", "worker", "delivery"])
def test_policy_lets_out_to_names_and_brokers_alone(role: str) -> None:
    [policy] = of_kind(objects({**ROLES[role], "networkPolicy": {"kafkaTo": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}}),
                       "NetworkPolicy")  # fmt: skip
    names, brokers = policy["spec"]["egress"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert brokers == {"ports": [{"port": 9093, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}
    [scrape] = policy["spec"]["ingress"]
    assert scrape["ports"] == [{"port": "metrics", "protocol": "TCP"}]


def test_policy_of_a_simulated_station_lets_out_to_names_alone() -> None:
    [policy] = of_kind(objects(ROLES["station"]), "NetworkPolicy")
    assert [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]] == [[53, 53]]


def test_sources_that_listen_are_reached_and_those_that_call_get_out() -> None:
    trees = objects(COMBINATIONS["network sources"])
    [policy] = of_kind(trees, "NetworkPolicy")
    [service] = [tree for tree in of_kind(trees, "Service") if tree["metadata"]["name"].endswith("-sources")]
    assert service["spec"]["type"] == "LoadBalancer"
    ports = [(port["name"], port["protocol"]) for port in service["spec"]["ports"]]
    assert ports == [("udp-5004", "UDP"), ("tcp-7000", "TCP")]
    assert {"port": "udp-5004", "protocol": "UDP"} in policy["spec"]["ingress"][1]["ports"]
    assert policy["spec"]["egress"][1]["ports"] == [{"port": 443, "protocol": "TCP"}, {"port": 7001, "protocol": "TCP"}]


def _outward(**config: object) -> set[int]:
    """Ports that the policy of a station lets it call, but for names."""
    [policy] = of_kind(objects({"role": "station", "config": hears(SIMULATED, **config)}), "NetworkPolicy")
    return {port["port"] for rule in policy["spec"]["egress"][1:] for port in rule["ports"]}


@pytest.mark.parametrize(
    ("publisher", "ports"),
    [
        ({"kind": "redis_streams", "url": "redis://canary:${REDIS_PASSWORD}@redis.example.org:6380/0"}, {6380}),
        ({"kind": "redis_streams", "url": "rediss://redis.example.org"}, {6379}),
        ({"kind": "redis_streams", "url": "redis://[2001:db8::1]/1"}, {6379}),
        ({"kind": "redis_streams", "url": "unix:///run/redis.sock"}, set()),
        ({"kind": "redis_streams", "url": "${REDIS_ADDRESS}"}, {6379}),
        ({"kind": "webhook", "url": "https://hooks.example.org:8443/a"}, {8443}),
        ({"kind": "webhook", "url": "http://receiver.local/a"}, {80}),
        ({"kind": "notify", "url": "mailtos://canary:${MAIL_PASSWORD}@example.org?to=me@example.org"}, {25, 465, 587}),
        ({"kind": "notify", "url": "mailto://canary:${MAIL_PASSWORD}@mail.example.org:2525"}, {2525}),
        ({"kind": "notify", "url": "${CHANNEL}"}, {443}),
        ({"kind": "notify", "url_file": "/run/channels/pager"}, {443}),
        ({"kind": "kafka", "kafka": {"bootstrap_servers": ["kafka.example.org:9093", "${BROKER}"]}}, {9092, 9093}),
        ({"kind": "jsonl", "path": "state/events.jsonl"}, set()),
    ],
)
def test_policy_lets_out_to_the_publishers_of_the_configuration(publisher: Mapping[str, Any], ports: set[int]) -> None:
    assert _outward(publishers=[publisher]) == ports


@pytest.mark.parametrize(
    ("copy", "ports"),
    [
        ({"target": "s3://bucket/north"}, {443}),
        ({"target": "s3://bucket/north", "options": {"endpoint_url": "http://minio.example.org:9000"}}, {9000}),
        ({"target": "sftp://nas.example.org/clips"}, {22}),
        ({"target": "sftp://nas.example.org/clips", "options": {"port": 2222}}, {2222}),
        ({"target": "file:///mnt/nas"}, set()),
    ],
)
def test_policy_lets_out_to_where_clips_are_copied(copy: Mapping[str, Any], ports: set[int]) -> None:
    assert _outward(evidence_copy=copy) == ports


def test_redis_of_the_values_is_let_out_to_its_peers_alone() -> None:
    values = {"redis": {"host": "r", "port": 6380}, "networkPolicy": {"redisTo": [{"podSelector": {}}]}}
    [policy] = of_kind(objects({"role": "station", **values}), "NetworkPolicy")
    assert policy["spec"]["egress"][1:] == [{"ports": [{"port": 6380, "protocol": "TCP"}], "to": [{"podSelector": {}}]}]


@pytest.mark.parametrize(
    ("apis", "made"),
    [(KEDA, {"ScaledObject", "TriggerAuthentication"}), (EXTERNAL, {"HorizontalPodAutoscaler"}),
     ((), {"HorizontalPodAutoscaler"}), (KEDA + EXTERNAL, {"ScaledObject", "TriggerAuthentication"})],
)  # fmt: skip
def test_workers_are_scaled_by_the_best_there_is(apis: tuple[str, ...], made: set[str]) -> None:
    trees = objects({"role": "worker", "kafka": SECURE, "autoscaling": {"enabled": True}}, apis)
    scalers = {"ScaledObject", "TriggerAuthentication", "HorizontalPodAutoscaler"}
    assert {tree["kind"] for tree in trees} & scalers == made
    [workload] = of_kind(trees, "Deployment")
    assert "replicas" not in workload["spec"]


def test_lag_in_seconds_is_the_metric_that_workers_export() -> None:
    from seacanary.metrics import Metrics

    [scaler] = of_kind(objects({**ROLES["worker"], "autoscaling": {"enabled": True}}, EXTERNAL),
                       "HorizontalPodAutoscaler")  # fmt: skip
    [metric] = scaler["spec"]["metrics"]
    exported = {family.name for family in Metrics().registry.collect()}
    assert metric["external"]["metric"]["name"] in exported


def test_lag_in_images_is_that_of_the_group_and_topic_of_the_workers() -> None:
    from seacanary.cluster.app import GROUP
    from seacanary.cluster.section import KafkaSection
    from seacanary.cluster.topics import IMAGES

    [scaler] = of_kind(objects({**ROLES["worker"], "autoscaling": {"enabled": True}}, KEDA), "ScaledObject")
    [trigger] = scaler["spec"]["triggers"]
    section = KafkaSection()
    assert trigger["metadata"]["consumerGroup"] == section.topic(GROUP)
    assert trigger["metadata"]["topic"] == section.topic(IMAGES)


def test_gpu_brings_device_image_and_provider() -> None:
    trees = objects({**ROLES["worker"], "gpu": {"enabled": True}})
    [container] = pod_of(trees)["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["image"] == "seacanary:0.1.0-gpu"
    assert "- cuda" in config_of(trees)


def test_device_plugin_needs_no_privilege_and_the_folder_does() -> None:
    plugin = objects(COMBINATIONS["sound devices by plugin"])
    folder = objects(COMBINATIONS["sound devices"])
    for trees in (plugin, folder):
        assert pod_of(trees)["spec"]["securityContext"]["supplementalGroups"] == [29]
    [container] = pod_of(plugin)["spec"]["containers"]
    assert container["resources"]["limits"]["squat.ai/audio"] == 1
    [volume] = [volume for volume in pod_of(folder)["spec"]["volumes"] if "hostPath" in volume]
    assert volume["hostPath"]["path"] == "/dev/snd"


def test_dashboards_and_rules_come_as_they_are() -> None:
    trees = objects(ROLES["station"], MONITORING)
    for tree in of_kind(trees, "ConfigMap"):
        for name, text in tree["data"].items():
            if name.endswith(".json"):
                assert tree["metadata"]["labels"]["grafana_dashboard"] == "1"
                assert json.loads(text) == json.loads((CHART / "files/dashboards" / name).read_text(encoding="utf-8"))
    [rules] = of_kind(trees, "PrometheusRule")
    originals = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((CHART / "files/rules").iterdir())]
    assert rules["spec"]["groups"] == [group for tree in originals for group in tree["groups"]]


def test_series_get_the_labels_by_which_rules_go() -> None:
    [monitor] = of_kind(objects({**ROLES["station"], "config": {"station": {"name": "pier"}, "sources": [{}]}},
                                MONITORING), "ServiceMonitor")  # fmt: skip
    relabelings = monitor["spec"]["endpoints"][0]["relabelings"]
    assert {entry["targetLabel"]: entry["replacement"] for entry in relabelings} == {
        "job": "seacanary",
        "station": "pier",
    }


def test_a_changed_configuration_makes_new_pods_and_another_label_does_not() -> None:
    def annotations(values: Mapping[str, Any]) -> Mapping[str, str]:
        found: Mapping[str, str] = pod_of(objects(values))["metadata"]["annotations"]
        return found

    before = annotations(ROLES["worker"])
    assert annotations({**ROLES["worker"], "kafka": {**BROKERS, "replication": 1}}) != before
    assert annotations({**ROLES["worker"], "monitoring": {"station": "other"}}) == before


def test_a_station_file_is_taken_as_it_is(tmp_path: Any) -> None:
    file = tmp_path / "station.yaml"
    file.write_text("station: {name: pier}  # ours\nsources:\n- {kind: udp, hydrophones: [a], sample_rate_hz: 384000, "
                    "host: 0.0.0.0, port: 5004}\nretention: {max_bytes: 20000000000}\n")  # fmt: skip
    done = render(
        {"role": "station"}, (), "--set-file", f"configText={file}", "--show-only", "templates/configmap.yaml"
    )
    assert "name: pier" in done.stdout
    assert "max_bytes: 20000000000" in done.stdout


def test_a_pod_may_take_as_long_to_end_as_the_service_needs() -> None:
    from seacanary import beside_evidence, log_outlet, runner, station
    from seacanary.web import serving

    clips_s, delivery_s = beside_evidence.CLIPS_DRAIN_S, station.DRAIN_S
    longest_s = clips_s + delivery_s + runner.LAST_LINES_S + log_outlet.LAST_RECORDS_S + serving.LAST_ANSWERS_S
    allowed_s = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"][
        "terminationGracePeriodSeconds"
    ]["minimum"]
    assert longest_s < allowed_s < pod_of(objects(ROLES["station"]))["spec"]["terminationGracePeriodSeconds"]
