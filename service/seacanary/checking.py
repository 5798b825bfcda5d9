"""Checking: what a process would be, found out without starting it."""

from collections.abc import Iterable, Mapping, Sequence

from seacanary.cluster.edge_config import EdgeConfig
from seacanary.cluster.section import KafkaSection
from seacanary.cluster.worker_config import WorkerConfig
from seacanary.config import Configuration, PublisherSection, StationConfig, check_against_model
from seacanary.detection import Detector
from seacanary.image_detection import ImageJudge, Transformer

Facts = Mapping[str, str | Sequence[str]]


def facts_of(config: Configuration) -> Facts:
    """What a configuration comes to, by name, once its model has been loaded.

    Raises:
        ConfigError: the configuration does not fit the model.
        ModelRefused: the model cannot be used.
    """
    match config:
        case EdgeConfig():
            return _edge(config)
        case StationConfig():
            return _station(config)
        case WorkerConfig():
            return _worker(config)
    raise TypeError(f"no role has a {type(config).__name__}")


def _station(config: StationConfig) -> Facts:
    detector = Detector.load(config.model)
    check_against_model(config, detector.contract)
    return {
        "station": config.station.name,
        "hydrophones": _hydrophones(config),
        "publishers": _names(config.publishers),
        "model": detector.contract.model_id,
        "provider": detector.provider,
    }


def _edge(config: EdgeConfig) -> Facts:
    transformer = Transformer.load(config.model)
    check_against_model(config, transformer.contract)
    return {
        "station": config.station.name,
        "hydrophones": _hydrophones(config),
        **_kafka(config.kafka),
        "spool": f"{config.edge.spool}, {config.edge.spool_limit_bytes / 1e9:g} GB at most",
        "model": transformer.contract.model_id,
        "provider": transformer.provider,
    }


def _worker(config: WorkerConfig) -> Facts:
    judge = ImageJudge.load(config.model)
    config.presence.check(judge.contract)
    return {
        "stages": config.worker.roles,
        **_kafka(config.kafka),
        "publishers": _names(config.publishers),
        "model": judge.contract.model_id,
        "provider": judge.provider,
    }


def _kafka(section: KafkaSection) -> Facts:
    user = f"user {section.login.username}" if section.login else "no user"
    return {
        "brokers": section.bootstrap_servers,
        "login": f"{user}, {'encrypted' if section.tls else 'not encrypted'}",
        "topics": f"{section.topic_prefix}*, {section.partitions} partitions, on {section.replication} broker"
        + "s" * (section.replication > 1),
    }


def _hydrophones(config: StationConfig) -> Sequence[str]:
    return [name for source in config.sources for name in source.hydrophone_names]


def _names(publishers: Iterable[PublisherSection]) -> Sequence[str]:
    return [publisher.name for publisher in publishers]
