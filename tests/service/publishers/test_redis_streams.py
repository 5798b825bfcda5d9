"""The Redis section: what cannot work is refused before anything is started."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.redis_streams import RedisStreams


def refusal(**fields: object) -> str:
    with pytest.raises(ValidationError) as refused:
        RedisStreamsSection.model_validate(fields)
    [fault] = refused.value.errors()
    return fault["msg"]


def test_a_url_of_another_kind_is_refused() -> None:
    assert "scheme must be one of redis, rediss, unix, got 'http'" in refusal(url="http://127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:abc/0",
        "redis://host:99999",
        "redis://host:0",
        "rediss://user:s3/cret@host:6379",
        "redis://user:s3#cret@host",
    ],
)
def test_a_port_that_is_none_is_refused_and_no_password_shown(url: str) -> None:
    message = refusal(url=url)
    assert "port must be a number from 1 to 65535" in message
    assert "s3" not in message


def test_a_host_that_is_none_is_refused_and_no_password_shown() -> None:
    message = refusal(url="redis://user:s3cret@[::1")
    assert "not a URL" in message
    assert "s3cret" not in message


@pytest.mark.parametrize("url", ["redis://host", "redis://:pw@host:6380/2", "rediss://[::1]:1/0", "unix:///run/redis"])
async def test_a_url_that_is_accepted_can_be_connected_to(url: str) -> None:
    await RedisStreams(RedisStreamsSection.model_validate({"url": url})).aclose()


def test_certificates_that_are_not_there_are_refused(tmp_path: Path) -> None:
    missing = tmp_path / "redis.crt"
    assert f"{missing}: no certificates can be read: No such file" in refusal(url="rediss://host", ca_file=missing)
    missing.write_text("not a certificate")
    assert f"{missing}: no certificates can be read" in refusal(url="rediss://host", ca_file=missing)


def test_a_wait_without_end_is_refused() -> None:
    assert "finite number" in refusal(connect_timeout_s=float("inf"))


def test_a_password_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "redis-password"
    file.write_text("first line\nsecond\n")
    section = RedisStreamsSection.model_validate({"password_file": str(file)})
    assert section.login() == {"password": "first line"}
    assert "first line" not in repr(section)


@pytest.mark.parametrize(
    ("text", "url", "message"),
    [
        ("", "redis://host/0", "its first line is empty"),
        (None, "redis://host/0", "no password can be read: No such file"),
        ("x", "redis://:secret@host/0", "the url has a password too"),
    ],
)
def test_a_password_file_that_is_none_is_refused(text: str | None, url: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "redis-password"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValidationError, match=message):
        RedisStreamsSection.model_validate({"url": url, "password_file": str(file)})
