"""WebhookSection: what cannot work or is not safe is refused at the start, without showing a secret."""

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from seacanary.config_faults import faults_of
from seacanary.publishers.webhook_section import WebhookSection, keys_in
from webhook_receiver import OTHER_SECRET, SECRET

URL = "https://hooks.example.org/in/path-token?key=query-token"


def section(**changes: object) -> WebhookSection:
    return WebhookSection.model_validate({"url": URL, "secret": SECRET, **changes})


def faults(**changes: object) -> str:
    with pytest.raises(ValidationError) as caught:
        section(**changes)
    return "\n".join(faults_of(caught.value, WebhookSection))


def test_it_carries_alerts_and_goes_to_the_internet_by_https() -> None:
    plain = section()
    assert plain.events == ("alerts",)
    assert plain.url.get_secret_value() == URL
    assert (plain.targets.private, plain.targets.networks, plain.targets.public) == (False, (), True)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
     "localhost", "a.localhost", "10.0.0.1", "192.168.0.1", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]",
     "0.0.0.0", "[::]", "224.0.0.1", "①②⑦.0.0.1"],
)  # fmt: skip
def test_an_address_that_is_not_allowed_is_refused_at_the_start(host: str) -> None:
    assert "list its network in allow_private_networks" in faults(url=f"https://{host}/hook")


def test_private_networks_may_be_allowed() -> None:
    assert section(url="http://127.0.0.1:9/hook", allow_private_networks=True).targets.private
    listed = section(url="http://10.20.1.1/hook", allow_private_networks=["10.20.0.0/16"])
    assert not listed.targets.private
    assert not listed.targets.public
    assert "10.21.1.1 is a private address" in faults(
        url="http://10.21.1.1/hook", allow_private_networks=["10.20.0.0/16"]
    )
    assert "metadata" in faults(url="http://169.254.169.254/latest", allow_private_networks=True)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hooks.example.org/", "http:// is for allowed private networks only"),
        ("ftp://hooks.example.org/", "URL scheme should be 'http' or 'https'"),
        ("https://user:pass-word@hooks.example.org/", "user and password do not belong"),
        ("https://", "URL"),
        ("hooks.example.org", "URL"),
        ("https://hooks.example.org:99999/", "port"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, message: str) -> None:
    said = faults(url=url)
    assert message in said
    assert "pass-word" not in said


def test_networks_are_networks() -> None:
    assert "10.0.0.1/8 has host bits set" in faults(allow_private_networks=["10.0.0.1/8"])
    assert "does not appear to be" in faults(allow_private_networks=["my-network"])


# --- secrets ------------------------------------------------------------------


def test_several_secrets_sign_while_receivers_change_over() -> None:
    assert len(section(secret=f"{SECRET} {OTHER_SECRET}").signing_keys()) == 2
    assert section().signing_keys() == [base64.b64decode(SECRET.removeprefix("whsec_"))]


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n{OTHER_SECRET}\n")
    assert section(secret=None, secret_file=file).signing_keys() == keys_in(f"{SECRET} {OTHER_SECRET}")


def test_there_is_one_place_for_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    assert "give either secret or secret_file" in faults(secret=None)
    assert "give either secret or secret_file" in faults(secret_file=file)


def test_a_file_without_a_secret_is_refused(tmp_path: Path) -> None:
    assert "no secret can be read: No such file" in faults(secret=None, secret_file=tmp_path / "none")
    (tmp_path / "empty").write_text("\n")
    assert "there is no secret" in faults(secret=None, secret_file=tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "not text" in faults(secret=None, secret_file=tmp_path / "binary")


@pytest.mark.parametrize(
    "secret",
    [
        SECRET.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(b"hunter2" * 3).decode(),
        "whsec_" + base64.b64encode(b"hunter2" * 10).decode(),
        "whsec_hunter2 is not base64",
        "hunter2",
        "",
    ],
)
def test_a_weak_or_broken_secret_is_refused_without_showing_it(secret: str) -> None:
    said = faults(secret=secret)
    assert "openssl rand -base64 32" in said
    assert "hunter2" not in said
    assert not secret or secret not in said


def test_headers_are_secrets_too_and_not_ours() -> None:
    plain = section(headers={"Authorization": "Bearer hunter2"})
    assert "hunter2" not in repr(plain)
    assert "service's own" in faults(headers={"Webhook-Id": "1"})
    assert "service's own" in faults(headers={"content-type": "text/plain"})
    assert "letters, digits" in faults(headers={"X Y": "1"})


@pytest.mark.parametrize("value", ["hunter2\r\nX-Evil: 1", "hunter2\x00", "hünter2", 12345678, ["hunter2"]])
def test_a_header_that_is_refused_is_not_shown(value: object) -> None:
    said = faults(headers={"Authorization": value})
    assert "headers.Authorization" in said
    assert "hunter2" not in said
    assert "12345678" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": 12345678},
        {"url": 12345678},
        {"secret": "hunter2"},
        {"events": []},
        {"timeout": 3},
        {"ca_file": "/no"},
    ],
)
def test_no_mistake_anywhere_shows_a_secret(changes: dict[str, object]) -> None:
    said = faults(headers={"Authorization": "Bearer hunter2"}, **changes)
    assert not any(word in said for word in ("hunter2", SECRET, "path-token", "query-token", "12345678"))


def test_what_is_shown_of_a_section_has_no_secret() -> None:
    plain = section()
    assert plain.place == "https://hooks.example.org"
    for shown in (repr(plain), str(plain), plain.model_dump_json()):
        assert not any(word in shown for word in (SECRET, "path-token", "query-token"))
