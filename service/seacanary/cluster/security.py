"""From KafkaSection to what Faust wants to be given, as `client_options` is for every other client."""

import ssl

from faust import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from seacanary.cluster.section import KafkaSection
from seacanary.kafka_clients import client_options

__all__ = ["client_options", "faust_brokers", "faust_credentials"]


def faust_credentials(section: KafkaSection) -> CredentialsT | None:
    """What client_options gives, for Faust's `broker_credentials`; None: brokers ask for nothing.

    Raises:
        ConfigError: as client_options.
    """
    options = client_options(section)
    tls: ssl.SSLContext | None = options.get("ssl_context")
    if section.login is not None:
        return SASLCredentials(
            username=section.login.username,
            password=options["sasl_plain_password"],
            mechanism=section.login.mechanism,
            ssl_context=tls,
        )
    return SSLCredentials(tls) if tls is not None else None


def faust_brokers(section: KafkaSection) -> list[str]:
    """The brokers as URLs for Faust's `broker`."""
    return [f"kafka://{server}" for server in section.bootstrap_servers]
