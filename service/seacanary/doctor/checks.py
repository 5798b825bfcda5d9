"""Which checks there are for a configuration, and in which order they are made.

First what the others build on: the file, the process that may be running, the model. Then all others side by side.
Last and alone what is measured: the CPU must not be busy with checks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from seacanary.config import PublisherSection
from seacanary.config_checks import ProcessRole
from seacanary.doctor import capacity, journal, kafka, model, sources
from seacanary.doctor.apart import START_S
from seacanary.doctor.channels import channel
from seacanary.doctor.configuration import configuration, refused
from seacanary.doctor.coverage import coverage
from seacanary.doctor.deliveries import deliveries
from seacanary.doctor.disks import disks
from seacanary.doctor.examining import LIMIT_S, Check, Checked, examine, within
from seacanary.doctor.findings import Finding
from seacanary.doctor.folders import folders
from seacanary.doctor.permissions import permissions
from seacanary.doctor.ports import ports
from seacanary.doctor.redis import redis
from seacanary.doctor.running import look_for, running
from seacanary.doctor.subject import NOT_RUNNING, Running, Subject
from seacanary.doctor.timekeeping import timekeeping
from seacanary.doctor.versions import versions
from seacanary.doctor.webhooks import webhook
from seacanary.errors import ConfigError, SeaCanaryError
from seacanary.publishers.jsonl import JsonLinesSection
from seacanary.publishers.kafka_section import KafkaEventsSection
from seacanary.publishers.notify import NotifySection
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.roles import read_any

NEED_THE_MODEL = ("fit", "coverage", "capacity")
# Whose checks are named after their place or name in a configuration.
NAMED = ("source ", "publisher ")
# The locks of a disk that hangs are not waited for.
LOOK_S = LIMIT_S
# A webhook and a channel are given their own patience, and time to resolve names.
FAR_LIMIT_S = 45.0


class NoSuchCheck(SeaCanaryError):
    """A check is to be left out that there is not."""


def diagnose(
    path: Path | None,
    *,
    role: ProcessRole | None = None,
    send: bool = False,
    skip: frozenset[str] = frozenset(),
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Subject, list[Checked]]:
    """Examine a configuration and the machine it is for.

    Args:
        path: the YAML file; None: the machine alone.
        role: whose it must be; None: found out by its sections.
        send: whether test messages may be sent to webhooks and people.
        skip: names of checks to leave out; without the model, those that need it are not made either.
        progress: told what is done now.

    Raises:
        NoSuchCheck: a name to leave out is no check's.
    """
    progress("reading the configuration")
    subject, report = _read(path, role, send=send)
    _check_names(skip, subject)
    progress("looking for a running process")
    subject = replace(subject, running=_look_for(subject))
    if "model" not in skip:
        progress("loading the model")
        subject, checked = _with_model(subject)
        report.append(checked)
    checks = [check for check in side_by_side(subject) if check.name not in left_out(tuple(skip))]
    progress("looking at sources, disks and servers")
    report += examine(checks)
    if "capacity" not in skip and subject.contract is not None:
        progress("measuring")
        report += examine([Check("capacity", partial(capacity.capacity, subject), capacity.LIMIT_S)])
    return subject, report


def left_out(skip: Sequence[str]) -> list[str]:
    """What is not looked at if these checks are left out."""
    return list(dict.fromkeys(name for each in skip for name in (each, *NEED_THE_MODEL * (each == "model"))))


def _check_names(skip: frozenset[str], subject: Subject) -> None:
    names = ["model", *(check.name for check in side_by_side(subject)), "capacity"]
    known = {*names, "kafka"}
    for name in sorted(skip - known):
        if subject.config is None and name.startswith(NAMED):  # which there are is not known
            continue
        raise NoSuchCheck(f"--skip: there is no check {name!r}; there are: {', '.join(names)}")


def side_by_side(subject: Subject) -> list[Check]:
    """Checks that do not disturb one another."""
    station = subject.station.station.name if subject.station else "worker"
    return [
        Check("configuration", partial(configuration, subject)),
        Check("running", partial(running, subject)),
        Check("versions", partial(versions, subject)),
        Check("clock", partial(timekeeping, subject)),
        Check("fit", partial(model.fits, subject.config, subject.contract)),
        Check("coverage", partial(coverage, subject)),
        Check("permissions", partial(permissions, subject)),
        *_sources(subject),
        Check("folders", partial(folders, subject)),
        Check("disks", partial(disks, subject)),
        Check("ports", partial(ports, subject)),
        Check("journal", partial(journal.journals, subject), journal.LIMIT_S),
        Check("deliveries", partial(deliveries, subject)),
        *_kafka(subject),
        *(check for section in subject.publishers for check in publisher(section, station, send=subject.send)),
    ]


def _sources(subject: Subject) -> Iterator[Check]:
    for place, section in enumerate(subject.sources):
        yield Check(f"source {place}-{section.kind}", partial(sources.source, subject, place), sources.LIMIT_S)


def _kafka(subject: Subject) -> Iterator[Check]:
    if subject.kafka is not None and subject.config is not None:
        yield Check("kafka", partial(kafka.cluster, subject.kafka, subject.config.role), FAR_LIMIT_S)


def publisher(section: PublisherSection, station: str, *, send: bool) -> Iterator[Check]:
    """Checks of one destination.

    Args:
        section: of the configuration.
        station: its name, for test messages.
        send: whether they may be sent.
    """
    look: Callable[[], Iterable[Finding]]
    match section:
        case RedisStreamsSection():
            look = partial(redis, section)
        case WebhookSection():
            look = partial(webhook, section, station, send=send)
        case NotifySection():
            look = partial(channel, section, station, send=send)
        case KafkaEventsSection():
            look = partial(kafka.publisher, section)
        case JsonLinesSection():
            return  # its folder is one of those written to
    yield Check(f"publisher {section.name}", look, FAR_LIMIT_S)


def _read(path: Path | None, role: ProcessRole | None, *, send: bool) -> tuple[Subject, list[Checked]]:
    """Read the file; what is wrong with it is a finding, and the machine is examined all the same."""
    if path is None:
        return Subject(send=send), []
    try:
        config = within("configuration", partial(read_any, path, role), limit_s=LIMIT_S)
    except ConfigError as exc:
        return Subject(path, send=send), [Checked("configuration", tuple(refused(exc)), 0.0)]
    except TimeoutError:
        late = ConfigError(f"{path} was not read within {LIMIT_S:g} s: its disk, or one with a secret of it, hangs")
        return Subject(path, send=send), [Checked("configuration", tuple(refused(late)), LIMIT_S)]
    return Subject(path, config, send=send), []


def _look_for(subject: Subject) -> Running:
    if subject.config is None:
        return NOT_RUNNING
    try:
        return within("running", partial(look_for, subject.config, file=subject.path), limit_s=LOOK_S)
    except TimeoutError:
        return Running(doubt=f"its lock and its port have not answered within {LOOK_S:g} s: a disk may hang")


def _with_model(subject: Subject) -> tuple[Subject, Checked]:
    role = subject.config.role if subject.config else "station"
    contracts = []

    def look() -> Iterator[Finding]:
        loaded, findings = model.try_model(subject.model, role)
        contracts.extend([loaded.contract] if loaded else [])
        yield from findings

    (checked,) = examine([Check("model", look, START_S + model.LIMIT_S + 5)])
    return replace(subject, contract=contracts[0] if contracts else None), checked
