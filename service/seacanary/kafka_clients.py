"""From KafkaConnection to what aiokafka's clients want to be given."""

import ssl
from pathlib import Path
from typing import Any

from aiokafka.helpers import create_ssl_context  # type: ignore[import-untyped]  # it ships no types

from seacanary.errors import ConfigError
from seacanary.kafka_connection import KafkaConnection, KafkaLogin, KafkaTls


def client_options(connection: KafkaConnection) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client takes: where, as whom, how encrypted.

    Raises:
        ConfigError: a password, certificate or key cannot be read.
    """
    tls = _tls_context(connection.tls) if connection.tls is not None else None
    return {
        "bootstrap_servers": list(connection.bootstrap_servers),
        "request_timeout_ms": round(connection.request_timeout_s * 1000),
        "security_protocol": ("SASL_" if connection.login else "") + ("SSL" if tls else "PLAINTEXT"),
        **({"ssl_context": tls} if tls else {}),
        **(_login_options(connection.login) if connection.login else {}),
    }


def _login_options(login: KafkaLogin) -> dict[str, str]:
    return {
        "sasl_mechanism": login.mechanism,
        "sasl_plain_username": login.username,
        "sasl_plain_password": _password(login),
    }


def _password(login: KafkaLogin) -> str:
    if login.password is not None:
        return login.password.get_secret_value()
    file = login.password_file or Path()
    try:
        first_line = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"kafka.login.password_file: {file} cannot be read: {exc}") from exc
    if not first_line:
        raise ConfigError(f"kafka.login.password_file: the first line of {file} is empty; it must be the password")
    return first_line


def _tls_context(tls: KafkaTls) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=tls.ca_file,
            certfile=tls.certificate_file,
            keyfile=tls.key_file,
            password=_refuse_encrypted_key if tls.certificate_file else None,
        )
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        files = [str(file) for file in (tls.ca_file, tls.certificate_file, tls.key_file) if file]
        raise ConfigError(f"kafka.tls: {', '.join(files)} cannot be used: {exc}") from exc
    return context


def _refuse_encrypted_key() -> str:
    """Asked only if a key is encrypted; without it OpenSSL would wait at the terminal."""
    raise ValueError("the key is encrypted; give one that is not, readable by this user alone")


def in_words(exc: BaseException) -> str:
    """An error with its kind, once: aiokafka's say it themselves."""
    kind, text = type(exc).__name__, str(exc)
    return text if kind in text else f"{kind}: {text}"
