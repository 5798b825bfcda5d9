"""Answers as people write them: understood, or refused with what would be right."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from seacanary.config import StationSection
from seacanary.errors import ConfigError
from seacanary.init.destinations import (
    channel_by,
    new_webhook_secret,
    read_webhook_secret,
    redis_at,
    webhook_to,
    with_password,
    without_password,
)
from seacanary.init.offers import Offer, check_source, offer_of, read_names, read_rate, read_source, section_of
from seacanary.init.secret_files import PrivateFile, write_all
from seacanary.init.station_answers import read_name, read_position, station_section, suggested_name
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.sources.devices import Device
from webhook_receiver import SECRET

AT = datetime(2026, 11, 21, 4, 5, tzinfo=UTC)
GROUP = 60_123  # of nobody here


def test_this_machine_suggests_a_name_that_is_one() -> None:
    assert read_name(suggested_name()) == suggested_name()


@pytest.mark.parametrize("said", ["", "pier 7", "quai/7", "x" * 65])
def test_a_name_that_is_none_is_refused_in_words(said: str) -> None:
    with pytest.raises(ValueError, match="such as pier-7"):
        read_name(said)


@pytest.mark.parametrize(
    ("said", "where"),
    [("48.14, -69.72", (48.14, -69.72)), ("48.14 -69.72", (48.14, -69.72)), ("-33;151.2", (-33.0, 151.2)), ("", None)],
)
def test_a_position_is_read(said: str, where: tuple[float, float] | None) -> None:
    assert read_position(said) == where
    StationSection.model_validate(station_section("x", where))


@pytest.mark.parametrize("said", ["48.14", "north, west", "91, 0", "0, 181", "1,2,3", "nan, 0"])
def test_a_position_that_is_none_on_this_earth_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="degrees north, then east"):
        read_position(said)


@pytest.mark.parametrize(
    ("said", "rate_hz"), [("384000", 384_000), ("384 kHz", 384_000), ("44.1k", 44_100), ("384,000 Hz", 384_000)]
)
def test_a_rate_is_read(said: str, rate_hz: int) -> None:
    assert read_rate(said) == rate_hz


@pytest.mark.parametrize("said", ["", "fast", "0", "1.2.3"])
def test_a_rate_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="samples per second"):
        read_rate(said)


def test_names_are_read_and_none_may_be_there_twice() -> None:
    assert read_names(" north, south ,") == ["north", "south"]
    for said in ("", ",", "north, north"):
        with pytest.raises(ValueError, match="none twice"):
            read_names(said)


@pytest.mark.parametrize(
    ("device", "offer", "best_hz"),
    [
        (Device(kind="soundcard", device="UltraMic", channels="up to 2", rates_hz="44100, 192000, 384000"),
         Offer("soundcard", "UltraMic", 2, (44_100, 192_000, 384_000)), 384_000),
        (Device(kind="alsa", device="hw:CARD=U", channels="1, 2", rates_hz="8000 to 192000"),
         Offer("alsa", "hw:CARD=U", 2, (44_100, 48_000, 96_000, 128_000, 192_000)), 192_000),
        (Device(kind="alsa", device="hydro576", channels="1", rates_hz="576000"),
         Offer("alsa", "hydro576", 1, (576_000,)), 576_000),
    ],
)  # fmt: skip
def test_a_device_offers_its_best_rate(device: Device, offer: Offer, best_hz: int) -> None:
    assert offer_of(device) == offer
    assert offer.best_rate_hz == best_hz
    check_source(section_of(offer, rate_hz=best_hz, hydrophones=["north"]))


def test_a_device_in_use_is_offered_all_the_same() -> None:
    busy = offer_of(Device(kind="alsa", device="hw:0", channels="", rates_hz="cannot be opened now: busy"))
    assert (busy.channels, busy.best_rate_hz) == (1, 384_000)


def test_a_source_is_written_as_in_a_configuration() -> None:
    assert read_source("{kind: files, path: sounds}") == {"kind": "files", "path": "sounds"}
    assert read_source("simulated")["kind"] == "simulated"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("hydrophone", "written as in the configuration"),
        ("{kind: files", "written as in the configuration"),
        ("{kind: files}", "path: Field required"),
        ("{kind: sonar}", "sonar"),
    ],
)
def test_a_source_that_is_none_is_refused(said: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_source(said)


@pytest.mark.parametrize("url", ["redis://host:6379/0", "rediss://canary@host/0", "redis://[::1]:7/1"])
@pytest.mark.parametrize("password", ["simple", "p@ss:w/rd#%"])
def test_a_password_goes_into_a_url_and_out_of_it(url: str, password: str) -> None:
    assert without_password(with_password(url, password)) == (url, password)
    assert without_password(url) == (url, None)


def test_a_redis_password_is_tried_and_written_beside(tmp_path: Path) -> None:
    destination = redis_at("redis://canary:s3cret@host:6379/0")
    tried = destination.to_try()
    assert isinstance(tried, RedisStreamsSection)
    assert tried.url.get_secret_value() == "redis://canary:s3cret@host:6379/0"
    section = destination.written(tmp_path)
    assert section["url"] == "redis://canary@host:6379/0"
    (file,) = destination.files(tmp_path)
    assert (file.path, file.text) == (tmp_path / "secrets" / "redis-password", "s3cret\n")
    assert "s3cret" not in f"{section}{destination!r}{file!r}"
    write_all([file], AT)
    assert RedisStreamsSection.model_validate(section).login() == {"password": "s3cret"}


def test_a_webhook_secret_is_tried_and_written_beside(tmp_path: Path) -> None:
    destination = webhook_to("https://example.org/hook", secret=SECRET)
    tried = destination.to_try()
    assert isinstance(tried, WebhookSection)
    assert tried.secret == SecretStr(SECRET)
    write_all(destination.files(tmp_path), AT)
    read = WebhookSection.model_validate(destination.written(tmp_path))
    assert read.signing_keys() == tried.signing_keys()
    assert SECRET not in str(destination.written(tmp_path))


def test_a_secret_that_has_a_file_already_stays_there(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("json://127.0.0.1/")
    destination = channel_by(url_file=file)
    assert destination.files(tmp_path) == []
    assert destination.written(tmp_path)["url_file"] == str(file)
    destination.to_try()


def test_a_destination_that_is_none_is_refused_without_its_secret() -> None:
    with pytest.raises(ConfigError, match="scheme must be one of redis") as refused:
        redis_at("http://user:s3cret@host").to_try()
    assert "s3cret" not in str(refused.value)


def test_a_new_secret_is_one_and_never_the_same() -> None:
    assert read_webhook_secret("") != read_webhook_secret("")
    assert read_webhook_secret(new_webhook_secret())
    assert read_webhook_secret(SECRET) == SECRET
    with pytest.raises(ValueError):
        read_webhook_secret("letmein")


def test_files_are_their_owners_alone_and_what_was_there_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "key"
    for text in ("first", "second", "third"):
        write_all([PrivateFile(file, text)], AT)
    assert file.read_text() == "third"
    assert file.with_name("key.old-20261121T040500Z").read_text() == "first"
    assert file.with_name("key.old-20261121T040500Z-2").read_text() == "second"
    for path in file.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to any group")
@pytest.mark.parametrize(
    ("folder_mode", "modes"), [(0o750, (0o640, 0o750)), (0o2750, (0o640, 0o750)), (0o700, (0o600, 0o700))]
)
def test_root_writes_for_the_group_that_reads_the_folder(
    tmp_path: Path, folder_mode: int, modes: tuple[int, int]
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(folder_mode)
    secret = folder / "secrets" / "key"
    shared = write_all([PrivateFile(folder / "station.yaml", ""), PrivateFile(secret, "s3cret")], AT)
    assert shared is (folder_mode != 0o700)
    for path, mode in ((folder / "station.yaml", modes[0]), (secret, modes[0]), (secret.parent, modes[1])):
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert not shared or path.stat().st_gid == GROUP
