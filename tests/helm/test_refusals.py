"""Wrong values are refused before anything is installed, with a message that names the value."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from helm_chart import render
from helm_values import MISTAKES, SIMULATED, hears


@pytest.mark.parametrize(("name", "values"), MISTAKES.items(), ids=MISTAKES)
def test_a_wrong_value_is_named(name: str, values: Mapping[str, Any]) -> None:
    done = render(values)
    assert done.returncode != 0
    assert name in _as_written(done.stderr), done.stderr


def test_all_that_is_wrong_is_said_at_once() -> None:
    done = render({"role": "worker", "autoscaling": {"enabled": True, "maxReplicas": 40}, "redis": {"host": "r"}})
    assert "3 of the values cannot be used" in done.stderr
    for name in ("kafka.bootstrapServers", "redis.host", "autoscaling.maxReplicas"):
        assert name in done.stderr


def test_a_secret_that_is_refused_is_not_shown() -> None:
    done = render(MISTAKES["config.publishers[0].secret"])
    assert "whsec_abc" not in done.stderr


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("config.publishers[0].url", {"kind": "redis_streams", "url": "redis://:hunter22@redis.example.org:6379/0"}),
        ("config.publishers[0].url", {"kind": "redis_streams", "url": "rediss://canary:hunter$22@redis.example.org"}),
        ("config.publishers[0].url", {"kind": "notify", "url": "mailto://user:hunter22@example.org"}),
        ("config.publishers[0].url", {"kind": "notify", "url": "slack://hunter22/B1/x"}),
        ("config.publishers[0].headers.Authorization",
         {"kind": "webhook", "url": "https://h.example.org/", "headers": {"Authorization": "Bearer hunter22"}}),
        ("config.publishers[0].kafka.login.password", {"kind": "kafka", "kafka": {"login": {"password": 22222222}}}),
    ],
)  # fmt: skip
def test_a_publisher_s_secret_is_refused_wherever_it_stands(place: str, values: Mapping[str, Any]) -> None:
    done = render({"config": hears(SIMULATED, publishers=[values])})
    assert f"{place}: a secret does not belong into a ConfigMap" in done.stderr
    assert not re.search("hunter|2222", done.stderr)


@pytest.mark.parametrize(
    ("place", "copy"),
    [
        ("config.evidence_copy.secrets.key", {"target": "s3://b", "secrets": {"key": "hunter22"}}),
        ("config.evidence_copy.target", {"target": "sftp://canary:hunter22@nas.example.org/clips"}),
    ],
)
def test_a_secret_of_copies_is_refused(place: str, copy: Mapping[str, Any]) -> None:
    done = render({"config": hears(SIMULATED, evidence_copy=copy)})
    assert f"{place}: a secret does not belong into a ConfigMap" in done.stderr
    assert "hunter22" not in done.stderr


def test_what_comes_from_the_environment_is_no_secret_in_the_configuration() -> None:
    publishers = [
        {"kind": "redis_streams", "url": "redis://canary:${REDIS_PASSWORD}@redis.example.org:6379/0"},
        {"kind": "notify", "url": "mailtos://canary:${MAIL_PASSWORD}@example.org?to=me@example.org"},
        {"kind": "notify", "name": "ntfy", "url": "${NTFY_URL}"},
        {"kind": "webhook", "url": "https://h.example.org/a:b@c", "headers": {"Authorization": "${TOKEN}"}},
    ]
    copy = {"target": "s3://b/me@here", "options": {"profile": "x"}, "secrets": {"secret": "${S3_SECRET}"}}
    done = render({"config": hears(SIMULATED, publishers=publishers, evidence_copy=copy)})
    assert done.returncode == 0, done.stderr


def test_a_user_of_redis_without_a_password_is_refused() -> None:
    done = render({"redis": {"host": "redis.example.org", "username": "canary"}})
    assert "redis.existingSecret: missing; it holds the password of redis.username" in done.stderr


def _as_written(message: str) -> str:
    """helm names '/persistence/state/sizeGiB' what values.yaml calls persistence.state.sizeGiB."""
    return re.sub(r"'/([\w/]+)'", lambda found: found[1].replace("/", "."), message)
