"""Ports that the process will listen on: whether they are free, where it is known not to run."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import StationConfig
from seacanary.doctor.findings import Finding, broken, ok
from seacanary.doctor.subject import Subject


def ports(subject: Subject) -> Iterator[Finding]:
    """Each port, tried and let go of."""
    if subject.running.may_run:
        return
    for section, host, port in _wanted(subject):
        if port:
            yield _tried(section, host, port)


def _wanted(subject: Subject) -> Iterator[tuple[str, str, int]]:
    config = subject.config
    if isinstance(config, StationConfig | WorkerConfig) and config.metrics.enabled:
        yield "metrics", config.metrics.host, config.metrics.port
    if isinstance(config, StationConfig) and config.web is not None and config.web.enabled:
        yield "web", config.web.host, config.web.port
    if isinstance(config, WorkerConfig) and "fleet" in config.worker.roles:
        yield "worker", config.worker.host, config.worker.port


def _tried(section: str, host: str, port: int) -> Finding:
    name = f"port {port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as exc:
        return _refused(name, section, host, exc)
    return ok(name, f"{section}: {host}:{name.removeprefix('port ')} is free")


def _refused(name: str, section: str, host: str, exc: OSError) -> Finding:
    match exc.errno:
        case errno.EADDRINUSE:
            remedy = f"end the program that has it (`ss -ltnp` as root names it), or set another {section}.port"
        case errno.EACCES:
            remedy = f"ports below 1024 are the system's: set another {section}.port"
        case _:
            remedy = f"set {section}.host to an address of this machine, or 0.0.0.0 for all of them"
    return broken(
        name,
        f"{section}: {host}:{name.removeprefix('port ')} cannot be listened on: {exc.strerror or exc}",
        means="the process refuses to start",
        remedy=remedy,
    )
