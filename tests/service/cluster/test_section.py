import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from seacanary.cluster.section import KafkaLogin, KafkaSection, KafkaTls, WorkerSection


@pytest.mark.parametrize("address", ["kafka-1.example.org:9092", "10.0.0.7:9092", "[::1]:9092", "localhost:1"])
def test_a_broker_is_named_by_host_and_port(address: str) -> None:
    assert KafkaSection(bootstrap_servers=(address,)).bootstrap_servers == (address,)


@pytest.mark.parametrize(
    "address", ["kafka", ":9092", "kafka:", "kafka:0", "kafka:65536", "kafka:x", "kafka://a:9092", "::1:9092", "a b:1"]
)
def test_what_is_no_broker_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="a broker is HOST:PORT"):
        KafkaSection(bootstrap_servers=(address,))


def test_a_topic_has_the_prefix() -> None:
    assert KafkaSection().topic("images") == "seacanary.images"
    assert KafkaSection(topic_prefix="trial-7.").topic("images") == "trial-7.images"


@pytest.mark.parametrize("prefix", ["a b", "a/b", "x" * 101, "a\n", "ä"])
def test_a_prefix_that_no_topic_can_have_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="topic_prefix"):
        KafkaSection(topic_prefix=prefix)


def test_a_login_has_one_password(tmp_path: Path) -> None:
    assert KafkaLogin.model_validate({"username": "north", "password": "pw"}).password is not None
    assert KafkaLogin(username="north", password_file=tmp_path / "p").password_file == tmp_path / "p"
    for password in ({}, {"password": "s3cret", "password_file": "p"}):
        with pytest.raises(ValidationError, match="one of them") as refused:
            KafkaLogin.model_validate({"username": "north", **password})
        assert "s3cret" not in str(refused.value)


def test_a_password_is_never_shown() -> None:
    section = KafkaSection.model_validate({"login": {"username": "north", "password": "s3cret"}})
    assert "s3cret" not in repr(section) + str(section) + section.model_dump_json()


def test_certificates_that_cannot_be_read_are_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for file in (tmp_path / "absent.pem", tmp_path / "empty.pem"):
        with pytest.raises(ValidationError, match="no certificates can be read"):
            KafkaTls(ca_file=file)


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="certificate_file"):
        KafkaTls(key_file=tmp_path / "client.key")
    assert KafkaTls(certificate_file=tmp_path / "both.pem").key_file is None


def test_a_role_is_named_once() -> None:
    assert WorkerSection(roles=("infer", "track")).roles == ("infer", "track")
    with pytest.raises(ValidationError, match="named once"):
        WorkerSection(roles=("infer", "infer"))


def test_the_scripts_of_a_trial_broker_are_sound() -> None:
    folder = Path(__file__).parents[3] / "deploy" / "kafka"
    for script in sorted(folder.glob("*.sh")):
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_worker_is_not_stuck_before_its_session_is_over() -> None:
    assert WorkerSection(session_timeout_s=30, stuck_after_s=31).stuck_after_s == 31
    for fields in ({"session_timeout_s": 90}, {"session_timeout_s": 20, "stuck_after_s": 20}):
        with pytest.raises(ValidationError, match=r"stuck_after_s \(.+\) must be longer than session_timeout_s"):
            WorkerSection.model_validate(fields)
