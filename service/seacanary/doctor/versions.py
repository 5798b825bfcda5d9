"""Versions: what is installed against what the package needs."""

import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from seacanary import __version__
from seacanary.doctor.findings import Finding, broken, ok
from seacanary.doctor.subject import Subject
from seacanary.publishers.kafka_section import KafkaEventsSection
from seacanary.sources.alsa import AlsaSection

PACKAGE = "seacanary"


def versions(subject: Subject) -> Iterator[Finding]:
    """The program, its interpreter, its machine, and every library that this configuration needs."""
    yield ok(
        "versions",
        f"seacanary {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()} on "
        f"{platform.machine()}, {sys.prefix}",
    )
    try:
        wanted = [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:
        yield broken(
            "versions",
            f"{PACKAGE} is not installed as a package in {sys.prefix}",
            means="nothing tells which libraries it needs",
            remedy=f"pip install '{PACKAGE}[cpu]' in an environment of its own",
        )
        return
    extras = list(_extras(subject))
    faults = [fault for requirement in wanted if _applies(requirement, extras) for fault in _faults(requirement)]
    for fault in faults:
        yield broken(
            "libraries",
            fault,
            means="what needs it fails when it is used, or the process does not start",
            remedy=f"pip install --upgrade '{PACKAGE}[{','.join(['cpu', *extras])}]' (gpu in place of cpu with a GPU), "
            "with constraints.txt of the release",
        )
    if not faults:
        yield ok("libraries", "all that this configuration needs are there, in versions that do")


def _extras(subject: Subject) -> Iterator[str]:
    """Extras this configuration cannot do without; cpu and gpu are the model's check."""
    if any(isinstance(source, AlsaSection) for source in subject.sources):
        yield "alsa"
    if subject.kafka is not None or any(isinstance(p, KafkaEventsSection) for p in subject.publishers):
        yield "cluster"
    copies = subject.station.evidence_copy if subject.station else None
    if copies is not None and copies.target.startswith("s3:"):
        yield "s3"


def _applies(requirement: Requirement, extras: list[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _faults(requirement: Requirement) -> Iterator[str]:
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        yield f"{requirement.name} is not installed"
        return
    if not requirement.specifier.contains(found, prereleases=True):
        yield f"{requirement.name} {found} is installed, {requirement.specifier} is needed"
