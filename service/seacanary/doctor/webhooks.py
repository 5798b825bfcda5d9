"""Webhooks: name, address, port, TLS and certificate, without sending an event unless that was asked for."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from seacanary.doctor.findings import Finding, broken, ok, warning
from seacanary.errors import SeaCanaryError
from seacanary.publishers.targets import resolved
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.publishers.webhook_trial import try_webhook

CERTIFICATE_DAYS = 14
WAITS = "events wait in the journal until it works, and nothing is lost"


def webhook(section: WebhookSection, station: str, *, send: bool) -> Iterator[Finding]:
    """One webhook.

    Args:
        section: of the configuration.
        station: its name, for a test event.
        send: whether to send one.
    """
    name = f"webhook {section.name}"
    try:
        yield from _connected(name, section)
    except (OSError, UnicodeError, SeaCanaryError) as exc:
        yield _unreached(name, section, exc)
        return
    if send:
        yield _tried(name, section, station)


def _connected(name: str, section: WebhookSection) -> Iterator[Finding]:
    parts = urlsplit(section.url.get_secret_value())
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    addresses = asyncio.run(resolved(host, port))
    refusals = [refusal for address in addresses if (refusal := section.targets.refusal(address))]
    if refusals:
        yield broken(
            name,
            f"{section.place}: {refusals[0]}",
            means=f"the station refuses to send there, so that no URL leads into its own network; {WAITS}",
            remedy="if that is meant, name its network under allow_private_networks; else correct the url",
        )
        return
    with socket.create_connection((str(addresses[0]), port), timeout=section.connect_timeout_s) as connection:
        if parts.scheme != "https":
            yield ok(name, f"{section.place} takes connections; not encrypted")
            return
        context = ssl.create_default_context(cafile=section.ca_file)
        with context.wrap_socket(connection, server_hostname=host) as encrypted:
            yield _certified(name, section.place, encrypted)


def _certified(name: str, place: str, encrypted: ssl.SSLSocket) -> Finding:
    certificate = encrypted.getpeercert() or {}
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends - datetime.now(UTC)).total_seconds() / 86_400
    seen = f"{place} takes connections ({encrypted.version()}), its certificate is good until {ends:%Y-%m-%d}"
    if days < CERTIFICATE_DAYS:
        return warning(
            name,
            f"{seen}: {days:.0f} days",
            means="after that the station refuses to talk to it",
            remedy="have the receiver's certificate renewed",
        )
    return ok(name, seen)


def _unreached(name: str, section: WebhookSection, exc: Exception) -> Finding:
    seen = f"{section.place}: {exc}"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return broken(
            name,
            f"{section.place}: its certificate is refused: {exc.verify_message}",
            means=f"who answers there cannot be trusted; {WAITS}",
            remedy="renew it, name the authority that signed it under ca_file, or set this machine's clock",
        )
    if isinstance(exc, socket.gaierror | UnicodeError):
        return broken(
            name,
            f"{section.place}: the name cannot be resolved: {exc}",
            means=WAITS,
            remedy="correct the host in the url; see /etc/resolv.conf and whether this machine has a network",
        )
    return broken(
        name,
        seen,
        means=f"nobody answers there; {WAITS}",
        remedy="see whether the receiver runs, and whether port and firewall let it through",
    )


def _tried(name: str, section: WebhookSection, station: str) -> Finding:
    trial = asyncio.run(try_webhook(section, station, at=datetime.now(UTC)))
    if trial.exit_code == 0:
        return ok(name, f"test event: {trial.in_words}")
    return broken(
        name,
        f"test event: {trial.in_words}",
        means="it takes connections, and not our events",
        remedy="compare secret and path with the receiver's; docs/receiving-webhooks.md says what it must answer",
    )
