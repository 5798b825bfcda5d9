"""Runs an edge in the foreground: T, the way to Kafka, metrics, signals."""

import asyncio
import logging
from contextlib import nullcontext
from functools import partial

from seacanary.cluster.edge import Edge, EdgeSummary
from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.edge_images import image_record_bytes
from seacanary.cluster.envelope_codec import LARGEST_SIDE
from seacanary.cluster.foreground import limit_log, serve_metrics, stop_on_signals
from seacanary.cluster.kafka_carrier import RECORD_BYTES, KafkaCarrier
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.topics import IMAGES, make_topics
from seacanary.contract import ModelContract
from seacanary.errors import ModelRefused
from seacanary.health import Examined
from seacanary.image_detection import Transformer
from seacanary.kafka_clients import client_options
from seacanary.metrics import Metrics
from seacanary.supervisor_notice import supervisor_told

log = logging.getLogger(__name__)

CHATTY = ("aiokafka",)


def run_edge(config: EdgeConfig, *, seconds: float | None = None, examined: Examined = nullcontext) -> EdgeSummary:
    """Run an edge until its sources end, SIGINT or SIGTERM comes, or time is up.

    Args:
        config: the edge's whole configuration.
        seconds: stop by itself after this long; None: never.
        examined: adds to what probes are told.

    Raises:
        SeaCanaryError: the model, the spool or the configuration cannot be used. Brokers that are
            away are no reason: images wait for them.
    """
    limit_log(*CHATTY)
    carrier = kafka_carrier(config.kafka, station=config.station.name)
    metrics, transformer = Metrics(), Transformer.load(config.model)
    try:
        check_record_size(transformer.contract)
        edge = Edge(config, transformer=transformer, carrier=carrier, metrics=metrics)
        with examined(edge.health.read) as health:
            serve_metrics(metrics, config.metrics, health=health)
            _say_what_begins(config)
            return asyncio.run(_run(edge, seconds))
    finally:
        transformer.close()
        metrics.close()


def check_record_size(contract: ModelContract) -> None:
    """Refuse a model whose images no broker takes: the first would be sent again for ever, and hold up all others.

    Raises:
        ModelRefused: it is one.
    """
    rows, columns = sum(rows.count for rows in contract.transform.rows), contract.transform.columns
    too_long = max(rows, columns) > LARGEST_SIDE  # not to be encoded at all
    if too_long or image_record_bytes(contract) > RECORD_BYTES:
        raise ModelRefused(
            f"model {contract.model_id}: an image of {rows} x {columns} pixels does not fit into a record; an edge "
            f"needs one whose images have {LARGEST_SIDE} on each side and make {RECORD_BYTES} bytes at most"
        )


def _say_what_begins(config: EdgeConfig) -> None:
    hydrophones = ", ".join(name for source in config.sources for name in source.hydrophone_names)
    topic, place = config.kafka.topic(IMAGES), config.kafka.place
    log.info("edge %s: %s; images go to %s, %s", config.station.name, hydrophones, topic, place)


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


async def _run(edge: Edge, seconds: float | None) -> EdgeSummary:
    stop_on_signals(edge.stop)
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, edge.stop)
    async with supervisor_told(edge.health.read):
        return await edge.run()
