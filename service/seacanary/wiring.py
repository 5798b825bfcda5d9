"""From a section of the configuration to the part it describes."""

import re
from collections.abc import Callable, Collection

from seacanary.config import PublisherSection, SourceSection, StationConfig
from seacanary.errors import ConfigError
from seacanary.evidence.consumer import CURSOR as CLIPS
from seacanary.evidence.extras import CURSOR as PICTURES
from seacanary.publishers import Publisher
from seacanary.publishers.circuit import DeliveryPolicy
from seacanary.publishers.jsonl import JsonLines, JsonLinesSection
from seacanary.publishers.kafka_section import KafkaEventsSection
from seacanary.publishers.notify import Links, Notify, NotifySection, Picture
from seacanary.publishers.redis_section import RedisStreamsSection
from seacanary.publishers.redis_streams import RedisStreams
from seacanary.publishers.webhook import Webhook
from seacanary.publishers.webhook_section import WebhookSection
from seacanary.sources import Source
from seacanary.sources.alsa import Alsa, AlsaSection
from seacanary.sources.ffmpeg import UrlSource
from seacanary.sources.files import FileReport, FilesSection, FilesSource
from seacanary.sources.network import RtpSection, TcpSection, UdpSection, UrlSection
from seacanary.sources.simulated import SimulatedSection, SimulatedSource
from seacanary.sources.soundcard import Soundcard, SoundcardSection
from seacanary.sources.supervised import SupervisionPolicy
from seacanary.sources.tcp import TcpSource
from seacanary.sources.udp import RtpSource, UdpSource
from seacanary.web.review_links import ReviewLinks
from seacanary.web.review_secret import review_secret


def open_source(section: SourceSection, *, done: Collection[str], on_file_done: Callable[[FileReport], None]) -> Source:
    """The source that a section describes; its device is opened by the first block.

    Args:
        section: of the configuration.
        done: files heard to their end in an earlier run.
        on_file_done: told of each file that has been read.
    """
    match section:
        case SoundcardSection():
            return Soundcard(section)
        case AlsaSection():
            return Alsa(section)
        case FilesSection():
            return FilesSource(section, skip=done, on_file_done=on_file_done)
        case TcpSection():
            return TcpSource(section)
        case UdpSection():
            return UdpSource(section)
        case RtpSection():
            return RtpSource(section)
        case UrlSection():
            return UrlSource(section)
        case SimulatedSection():
            return SimulatedSource(section)


def open_publisher(section: PublisherSection, *, links: Links, picture: Picture) -> Publisher:
    """The publisher that a section describes; it connects when it first publishes.

    Args:
        section: of the configuration.
        links: URLs for an alert's message, by what they are for.
        picture: where an alert's picture is, or will be.

    Raises:
        ConfigError: a secret cannot be read.
    """
    match section:
        case JsonLinesSection():
            return JsonLines(section)
        case RedisStreamsSection():
            return RedisStreams(section)
        case WebhookSection():
            return Webhook(section, links=links)
        case NotifySection():
            return Notify(section, links=links, picture=picture)
        case KafkaEventsSection():
            return _kafka_events(section)


def _kafka_events(section: KafkaEventsSection) -> Publisher:
    try:
        from seacanary.publishers.kafka import KafkaEvents
    except ImportError as exc:
        raise ConfigError(
            f"publisher {section.name}: kafka needs aiokafka, which is not installed; install seacanary[cluster]"
        ) from exc
    return KafkaEvents(section)


def delivery_policy(section: PublisherSection, policy: DeliveryPolicy) -> DeliveryPolicy:
    """How patiently a publisher is asked: as its section says, or as all are."""
    return section.delivery if isinstance(section, WebhookSection | NotifySection) else policy


def newcomers(config: StationConfig) -> list[str]:
    """Readers of the journal that begin with what is to come when they are new: people, and what needs live audio.

    A telephone number added to an old journal must not get years of alerts, nor a folder a note for every event
    whose audio is long gone. Stores of events (Redis, files) are for the whole of it.
    """
    people = [section.name for section in config.publishers if isinstance(section, WebhookSection | NotifySection)]
    return people + ([CLIPS, PICTURES] if config.evidence is not None else [])


def review_links(config: StationConfig) -> ReviewLinks | None:
    """What makes the links in messages; None where no page is served that they could lead to.

    Raises:
        ConfigError: the secret cannot be read or made.
    """
    if config.web is None or not config.web.enabled:
        return None
    secret = review_secret(config.web, beside=config.journal.path)
    return ReviewLinks(config.web.public_url, secret, ttl_s=config.web.links_last_s)


def plays_recordings(section: SourceSection) -> bool:
    """Whether a stream that ends is whole, so that its last stretch may be filled up."""
    return isinstance(section, FilesSection)


def supervision_of(section: SourceSection, policy: SupervisionPolicy) -> SupervisionPolicy:
    """The policy for a source; one that may rightly be idle is never stalled."""
    return policy if section.can_stall else policy.patient()


def is_named_by(section: SourceSection, hydrophone: str) -> bool:
    """Whether a source may deliver this hydrophone; a file's channels are numbered when it is opened."""
    names = section.hydrophone_names
    numbered = re.sub(r"-ch\d+$", "", hydrophone)
    return hydrophone in names or (isinstance(section, FilesSection) and numbered in names)


def waits_for_us(section: SourceSection) -> bool:
    """Whether the source can be held back, so that nothing need be shed."""
    return isinstance(section, FilesSection | SimulatedSection) and section.pace == "fast"
