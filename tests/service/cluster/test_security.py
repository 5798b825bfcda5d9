import ssl
import subprocess
from pathlib import Path

import pytest
from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from seacanary.cluster.section import KafkaLogin, KafkaSection, KafkaTls
from seacanary.cluster.security import client_options, faust_brokers, faust_credentials
from seacanary.errors import ConfigError

CERTIFICATES = Path(__file__).parents[3] / "deploy" / "kafka" / "certificates.sh"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run([CERTIFICATES, folder], check=True, timeout=30)
    return folder


def login(folder: Path, text: str = "s3cret\nnot this\n") -> KafkaLogin:
    (folder / "password").write_text(text)
    return KafkaLogin(username="north", password_file=folder / "password")


def test_brokers_that_ask_for_nothing_are_told_nothing() -> None:
    section = KafkaSection(bootstrap_servers=("a:1", "b:2"))
    options = client_options(section)
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert options["security_protocol"] == "PLAINTEXT"
    assert not [name for name in options if name.startswith(("sasl", "ssl"))]
    assert faust_credentials(section) is None
    assert faust_brokers(section) == ["kafka://a:1", "kafka://b:2"]


def test_a_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    section = KafkaSection(login=login(tmp_path, "s3cret\r\nnot this\n"))
    options = client_options(section)
    assert options["security_protocol"] == "SASL_PLAINTEXT"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("north", "s3cret")


@pytest.mark.parametrize("text", ["", "\ns3cret\n"])
def test_an_empty_password_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="password_file: the first line"):
        client_options(KafkaSection(login=login(tmp_path, text)))


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    absent = KafkaLogin(username="north", password_file=tmp_path / "absent")
    with pytest.raises(ConfigError, match="absent cannot be read"):
        client_options(KafkaSection(login=absent))


def test_faust_is_told_what_the_other_clients_are(tmp_path: Path, certificates: Path) -> None:
    tls = KafkaTls(ca_file=certificates / "ca.pem")
    for section, kind in (
        (KafkaSection(login=login(tmp_path), tls=tls), SASLCredentials),
        (KafkaSection(login=login(tmp_path)), SASLCredentials),
        (KafkaSection(tls=tls), SSLCredentials),
    ):
        credentials = faust_credentials(section)
        assert isinstance(credentials, kind)
        ours = client_options(section)
        for name, value in credentials_to_aiokafka_auth(credentials).items():
            if name == "ssl_context":
                assert (value is None) == (ours.get(name) is None)
            else:
                assert value == ours[name], name


def test_names_in_certificates_are_always_checked(certificates: Path) -> None:
    tls = KafkaTls(
        ca_file=certificates / "ca.pem",
        certificate_file=certificates / "client.crt",
        key_file=certificates / "client.key",
    )
    options = client_options(KafkaSection(tls=tls))
    assert options["security_protocol"] == "SSL"
    assert options["ssl_context"].check_hostname is True
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_a_key_of_another_certificate_is_refused(certificates: Path) -> None:
    tls = KafkaTls(certificate_file=certificates / "ca.pem", key_file=certificates / "client.key")
    with pytest.raises(ConfigError, match="cannot be used"):
        client_options(KafkaSection(tls=tls))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(certificates: Path, tmp_path: Path) -> None:
    command = ["openssl", "ec", "-in", certificates / "client.key", "-aes256", "-passout", "pass:pw"]
    subprocess.run([*command, "-out", tmp_path / "client.key"], check=True, timeout=30, stderr=subprocess.DEVNULL)
    tls = KafkaTls(certificate_file=certificates / "client.crt", key_file=tmp_path / "client.key")
    with pytest.raises(ConfigError, match="the key is encrypted"):
        client_options(KafkaSection(tls=tls))
