"""Runs an edge in the foreground: T, the way to Kafka, metrics, signals."""

import asyncio
import logging
import signal
from functools import partial

from seacanary.cluster.edge import Edge, EdgeSummary
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.kafka_carrier import KafkaCarrier
from seacanary.cluster.log_limits import LogLimit
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.security import client_options
from seacanary.cluster.topics import IMAGES, make_topics
from seacanary.errors import ConfigError
from seacanary.image_detection import Transformer
from seacanary.metrics import Metrics, MetricsSection

log = logging.getLogger(__name__)

CHATTY = ("aiokafka",)


def run_edge(config: EdgeConfig, *, seconds: float | None = None) -> EdgeSummary:
    """Run an edge until its sources end, SIGINT or SIGTERM comes, or time is up.

    Args:
        config: the edge's whole configuration.
        seconds: stop by itself after this long; None: never.

    Raises:
        SeaCanaryError: the model, the spool or the configuration cannot be used. Brokers that are
            away are no reason: images wait for them.
    """
    for handler in logging.root.handlers:
        handler.addFilter(LogLimit(*CHATTY))
    carrier = kafka_carrier(config.kafka, station=config.station.name)
    metrics, transformer = Metrics(), Transformer.load(config.model)
    try:
        _serve(metrics, config.metrics)
        edge = Edge(config, transformer=transformer, carrier=carrier, metrics=metrics)
        return asyncio.run(_run(edge, seconds))
    finally:
        transformer.close()
        metrics.close()


def kafka_carrier(section: KafkaSection, *, station: str) -> KafkaCarrier:
    """The way to the brokers that a section describes.

    Raises:
        ConfigError: a password, certificate or key cannot be read.
    """
    return KafkaCarrier(
        options=client_options(section),
        topic=section.topic(IMAGES),
        station=station,
        prepare=partial(_prepare, section),
    )


async def _prepare(section: KafkaSection) -> None:
    for note in await make_topics(section):
        log.warning("%s", note)


def _serve(metrics: Metrics, section: MetricsSection) -> None:
    if not section.enabled:
        return
    try:
        metrics.serve(section)
    except OSError as exc:
        raise ConfigError(
            f"metrics: cannot listen on {section.host}:{section.port}: {exc.strerror}; choose another host or port"
        ) from exc


async def _run(edge: Edge, seconds: float | None) -> EdgeSummary:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, edge.stop)
    if seconds is not None:
        loop.call_later(seconds, edge.stop)
    return await edge.run()
