"""aiokafka's clients: what they want to be given, made of a KafkaConnection, and how they are closed."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from aiokafka import (  # type: ignore[import-untyped]  # it ships no types
    AIOKafkaConsumer,
    AIOKafkaProducer,
)
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from aiokafka.helpers import create_ssl_context  # type: ignore[import-untyped]

from seacanary.errors import ConfigError
from seacanary.kafka_connection import KafkaConnection, KafkaLogin, KafkaTls

log = logging.getLogger(__name__)

CLOSE_S = 5.0
FETCH_ENDS_S = 0.3  # a failed fetch waits for a tenth of a second, aiokafka's retry_backoff_ms


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


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer, whatever becomes of it, in bounded time.

    While the brokers are away, its stop() raises the CancelledError of a fetch that waits to be tried again,
    and leaves its connections open. So no fetch is begun any more, the last one ends, and what stop() raises
    nevertheless is not taken for a cancellation of ours.
    """
    consumer.pause(*consumer.assignment())
    await asyncio.sleep(FETCH_ENDS_S)
    await _stopped("consumer", consumer.stop())


async def drop_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer, whatever becomes of it, in bounded time; what is not acknowledged is given up.

    Its stop() flushes first: it waits for as long as a broker is frozen or away, what it flushes then comes after
    what the next producer sends, and one that is cut short leaves its sender running. There is no public way to give
    up what is not acknowledged.
    """
    sending, unsent = producer._sender.sender_task, producer._message_accumulator
    if sending is not None:  # it did start
        sending.cancel()
        await asyncio.wait({sending}, timeout=CLOSE_S)
    for batch in chain(*unsent._batches.values(), unsent._pending_batches):
        batch.future.cancel()
    await _stopped("producer", producer.stop())
    with suppress(KafkaError, OSError):
        await producer.client.close()


async def _stopped(what: str, stop: Coroutine[Any, Any, None]) -> None:
    stopping = asyncio.create_task(stop)
    await asyncio.wait({stopping}, timeout=CLOSE_S)
    stopping.cancel()
    await asyncio.wait({stopping}, timeout=CLOSE_S)
    if stopping.done() and not stopping.cancelled() and (failure := stopping.exception()):
        log.debug("a %s was not closed in order: %s", what, failure)


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
