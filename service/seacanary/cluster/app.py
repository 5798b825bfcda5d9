"""The Faust app of a worker: its settings, topics and Table."""

from socket import gethostname
from uuid import uuid4

import faust
from faust.types import TopicT
from yarl import URL

from seacanary.cluster.acknowledging import HeldEvent
from seacanary.cluster.ordered_consumer import OnExpired, OrderedTransport
from seacanary.cluster.section import KafkaSection, WorkerSection
from seacanary.cluster.security import faust_brokers, faust_credentials
from seacanary.cluster.tables import HYDROPHONES, HydrophoneTable

GROUP = "workers"
CHANGELOG_TOPIC = f"{GROUP}-{HYDROPHONES}-changelog"  # Faust's name of it
# Images that wait in a worker's memory, at most: 31 KB each, 130 MB in all; Kafka holds the others. With a smaller
# buffer Faust pauses and resumes partitions all the time, which doubled the time a record took.
BUFFERED_RECORDS = 4096
HEARTBEATS_PER_SESSION = 4


def make_app(kafka: KafkaSection, worker: WorkerSection, *, on_expired: OnExpired = lambda *_: None) -> faust.App:
    """An app that knows its brokers and reads nothing yet. Its topics are there before it starts.

    Args:
        kafka: of the configuration.
        worker: of the configuration.
        on_expired: told of records that were deleted before anybody read them: topic and number.

    Raises:
        ConfigError: a password, certificate or key cannot be read.
    """
    app = faust.App(
        kafka.topic(GROUP),
        broker=[URL(broker) for broker in faust_brokers(kafka)],
        broker_credentials=faust_credentials(kafka),
        # A name of its own, by which the brokers tell its watchdog who has what.
        broker_client_id=f"{GROUP}-{gethostname()}-{uuid4().hex[:12]}",
        broker_session_timeout=worker.session_timeout_s,
        broker_heartbeat_interval=worker.session_timeout_s / HEARTBEATS_PER_SESSION,
        broker_commit_interval=1.0,
        # exactly_once loses nearly everything: docs/decisions says how that was found.
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        Event=HeldEvent,
        stream_buffer_maxsize=BUFFERED_RECORDS,
        topic_partitions=kafka.partitions,
        topic_replication_factor=kafka.replication,
        topic_disable_leader=True,
        store=f"{worker.store}://",
        datadir=str(worker.data / "faust"),
        # A hydrophone's state is small, and quickly read.
        table_standby_replicas=0,
        web_enabled=False,
    )
    app.transport = OrderedTransport.of(app, on_expired=on_expired)
    return app


def raw_topic(app: faust.App, name: str) -> TopicT:
    """A topic whose records are bytes: we read them ourselves, so that a bad one is ours to refuse."""
    return app.topic(
        name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", allow_empty=True
    )


def hydrophone_table(app: faust.App, kafka: KafkaSection) -> HydrophoneTable:
    """The Table of all hydrophones' states."""
    table = HydrophoneTable(app, name=HYDROPHONES, partitions=kafka.partitions)
    app.tables.add(table)
    return table
