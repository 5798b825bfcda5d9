"""Values of the chart for tests: combinations that must work, and mistakes that must be refused."""

from collections.abc import Mapping
from typing import Any

from helm_chart import BROKERS, SECURE

_STATION = {"name": "north-shore", "latitude": 60.1, "longitude": -149.4}
SIMULATED = {"kind": "simulated", "hydrophones": ["sea"], "sample_rate_hz": 384_000}
_UDP = {"kind": "udp", "hydrophones": ["a"], "sample_rate_hz": 384_000, "host": "0.0.0.0", "port": 5004}
_TCP = {"kind": "tcp", "hydrophones": ["b"], "sample_rate_hz": 96_000}
_SOUNDCARD = {"kind": "soundcard", "hydrophones": ["pier"], "device": "UR22", "sample_rate_hz": 192_000}
_WEBHOOK = {
    "kind": "webhook",
    "url": "https://hooks.example.org/canary",
    "secret": "${WEBHOOK_SECRET}",
    "events": ["presence"],
}
_FROM_SECRET = [{"secretRef": {"name": "canary-secrets"}}]
_WORKER = {"role": "worker", "kafka": BROKERS}
_DELIVERY = {"role": "delivery", "kafka": BROKERS}


def hears(*sources: Mapping[str, Any], **more: object) -> dict[str, object]:
    """The configuration of a role that has hydrophones."""
    return {"station": _STATION, "sources": list(sources), **more}


COMBINATIONS: Mapping[str, Mapping[str, Any]] = {
    "station with Redis and TLS": {
        "role": "station",
        "config": hears(SIMULATED, evidence={"post_roll_s": 3}),
        "redis": {
            "host": "redis.example.org",
            "existingSecret": "canary-redis",
            "tls": {"enabled": True, "existingSecret": "redis-ca"},
        },
        "web": {"publicUrl": "https://canary.example.org/north", "from": [{"podSelector": {}}]},
    },
    "network sources": {
        "role": "station",
        "config": hears(_UDP, {**_TCP, "mode": "listen", "port": 7000}, {**_TCP, "hydrophones": ["c"], "port": 7001},
                         publishers=[_WEBHOOK]),
        "extraEnvFrom": _FROM_SECRET,
        "sources": {"serviceType": "LoadBalancer", "from": [{"ipBlock": {"cidr": "10.20.0.0/16"}}]},
        "persistence": {"evidence": {"enabled": False}},
    },
    "sound devices": {
        "role": "station",
        "config": hears(_SOUNDCARD),
        "audio": {"enabled": True},
        "nodeSelector": {"kubernetes.io/hostname": "pier-7"},
    },
    "sound devices by plugin": {
        "role": "edge",
        "kafka": BROKERS,
        "config": hears(_SOUNDCARD),
        "audio": {"enabled": True, "via": "devicePlugin", "devicePluginResource": "squat.ai/audio"},
    },
    "edge with login and TLS": {
        "role": "edge",
        "kafka": SECURE,
        "config": hears(SIMULATED, edge={"spool_limit_bytes": 10_000_000_000}),
        "persistence": {"storageClass": "local", "spool": {"sizeGiB": 12}},
    },
    "workers on GPUs": {
        "role": "worker",
        "kafka": SECURE,
        "gpu": {"enabled": True, "count": 1, "fallback": True, "runtimeClassName": "nvidia"},
        "autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 12},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "config": {"worker": {"batch_images": 64}, "presence": {"rule": {"hold_s": 30}}},
    },
    "workers scaled by CPU": {
        **_WORKER,
        "autoscaling": {"enabled": True, "via": "cpu", "cpuPercent": 60},
        "resources": {"requests": {"cpu": "2", "memory": "2Gi"}},
    },
    "delivery with Redis by address and webhooks": {
        "role": "delivery",
        "kafka": {**SECURE, "login": {"existingSecret": "canary-kafka", "username": "delivery"}},
        "redis": {"existingSecret": "canary-redis", "urlKey": "url"},
        "config": {"publishers": [_WEBHOOK]},
        "extraEnvFrom": _FROM_SECRET,
        "fleet": {"from": [{"namespaceSelector": {"matchLabels": {"team": "whales"}}}]},
        "replicas": 3,
    },
    "nothing around it": {
        "role": "station",
        "web": {"enabled": False},
        "networkPolicy": {"enabled": True, "extraEgress": [{"ports": [{"port": 554, "protocol": "TCP"}]}]},
        "monitoring": {name: {"enabled": False} for name in ("serviceMonitor", "rules", "dashboards")},
        "topologySpread": {"enabled": False},
        "serviceAccount": {"create": False, "name": "shared"},
        "terminationGracePeriodSeconds": 120,
    },
    "names, image and volumes of one's own": {
        **_WORKER,
        "nameOverride": "whales",
        "fullnameOverride": "whale-workers",
        "image": {
            "repository": "registry.example.org/seacanary",
            "digest": "sha256:" + "0" * 64,
            "pullPolicy": "Always",
            "pullSecrets": ["registry"],
        },
        "extraVolumes": [{"name": "model", "configMap": {"name": "model"}}],
        "extraVolumeMounts": [{"name": "model", "mountPath": "/models", "readOnly": True}],
        "extraEnv": [{"name": "OMP_NUM_THREADS", "value": "1"}],
        "podLabels": {"team": "whales"},
        "podAnnotations": {"note": "ours"},
        "priorityClassName": "high",
        "affinity": {"podAntiAffinity": {}},
    },
    "IPv6, and a budget in percent": {
        **_DELIVERY,
        "listenOn": "::",
        "kafka": {"bootstrapServers": ["[2001:db8::1]:9092"], "ports": [9094]},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "networkPolicy": {"dns": {"namespace": "dns", "podLabels": {}}},
    },
}  # fmt: skip

# What is wrong, by the value that a message must name.
MISTAKES: Mapping[str, Mapping[str, Any]] = {
    "role": {"role": "listener"},
    "replicas": {**_WORKER, "replicas": "three"},
    "persistence.state.sizeGiB": {"persistence": {"state": {"sizeGiB": 0}}},
    "persistance": {"persistance": {"state": {"sizeGiB": 10}}},
    "kafka.bootstrapServers": {"role": "worker"},
    "kafka.bootstrapServers[0]": {"role": "edge", "kafka": {"bootstrapServers": ["kafka://kafka.example.org"]}},
    "kafka.login.mechanism": {**_WORKER, "kafka": {**BROKERS, "login": {"mechanism": "PLAIN"}}},
    "kafka.login.existingSecret": {**_WORKER, "kafka": {**BROKERS, "login": {"username": "workers"}}},
    "kafka.tls.enabled": {**_WORKER, "kafka": {**BROKERS, "tls": {"existingSecret": "kafka-ca"}}},
    "kafka.tls.certificateKey": {
        **_WORKER,
        "kafka": {**BROKERS, "tls": {"enabled": True, "existingSecret": "kafka-ca", "keyKey": "tls.key"}},
    },
    "redis.host": {"redis": {"host": "redis://redis.example.org:6379"}},
    "redis.existingSecret": {"redis": {"urlKey": "url"}},
    "audio.enabled": {"config": hears(SIMULATED, _SOUNDCARD)},
    "audio.devicePluginResource": {"config": hears(_SOUNDCARD), "audio": {"enabled": True, "via": "devicePlugin"}},
    "gpu.enabled": {**_DELIVERY, "gpu": {"enabled": True}},
    "autoscaling.maxReplicas": {**_WORKER, "autoscaling": {"enabled": True, "maxReplicas": 40}},
    "autoscaling.minReplicas": {**_WORKER, "autoscaling": {"enabled": True, "minReplicas": 7}},
    "autoscaling.via": {**_WORKER, "autoscaling": {"enabled": True, "via": "keda"}},
    "autoscaling.enabled": {**_DELIVERY, "autoscaling": {"enabled": True}},
    "resources.requests.cpu": {
        **_WORKER,
        "autoscaling": {"enabled": True},
        "resources": {"requests": {"cpu": None}},
    },
    "config.sources": {"config": {"station": _STATION}},
    "config.station": {**_WORKER, "config": hears(SIMULATED)},
    "config.publishers[0].secret": {"config": hears(SIMULATED, publishers=[{**_WEBHOOK, "secret": "whsec_abc"}])},
    "configText": {"configText": "station: [north\n"},
    "web.publicUrl": {"web": {"publicUrl": "canary.example.org"}},
    "terminationGracePeriodSeconds": {"terminationGracePeriodSeconds": 5},
    "image.digest": {"image": {"digest": "latest"}},
    "podDisruptionBudget.maxUnavailable": {"podDisruptionBudget": {"maxUnavailable": "half"}},
}
