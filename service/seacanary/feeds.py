"""Feeds: the sources of a configuration with their hydrophones, going on from where the last run left them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from seacanary.config import SourceSection, StationConfig
from seacanary.contract import ModelContract
from seacanary.events import PresenceEvent
from seacanary.hydrophone import Hydrophone
from seacanary.listening import Feed
from seacanary.presence_rules import PresenceSection
from seacanary.sources.files import FileReport
from seacanary.sources.supervised import SourceChange, SupervisedSource
from seacanary.wiring import is_named_by, open_source, plays_recordings, supervision_of, waits_for_us


class Feeds:
    """Makes a station's feeds.

    Attributes:
        sources: by the name of their feed, once they are made.
    """

    def __init__(
        self,
        config: StationConfig,
        contract: ModelContract,
        states: Mapping[str, str],
        *,
        done_files: Collection[str],
        on_file_done: Callable[[str, FileReport], None],
        on_change: Callable[[str, SourceChange], None],
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            config: of the station.
            contract: the model's.
            states: of trackers and guards, by key, as the journal has them.
            done_files: heard to their end before; looked at whenever a source looks for files.
            on_file_done: told of each file that a feed has read.
            on_change: told of each change of a feed's source.
        """
        self._config, self._contract, self._states = config, contract, states
        self._presence = config.presence
        self._done_files, self._on_file_done, self._on_change = done_files, on_file_done, on_change
        self.sources: dict[str, SupervisedSource] = {}

    def use(self, presence: PresenceSection) -> None:
        """Have hydrophones that are heard for the first time from now on followed by these rules."""
        self._presence = presence

    def make(self) -> list[Feed]:
        """A feed for each source."""
        return [self._feed(i, section) for i, section in enumerate(self._config.sources)]

    def orphans(self) -> Iterator[tuple[Hydrophone, list[PresenceEvent]]]:
        """Hydrophones that this station no longer has, with the ends of their presences."""
        for name in self._stored_names():
            if any(is_named_by(section, name) for section in self._config.sources):
                continue
            orphan = self._hydrophone(name, pad_at_end=False)
            orphan.restore(self._states)
            if events := orphan.close("lost_coverage"):
                yield orphan, events

    def _feed(self, place: int, section: SourceSection) -> Feed:
        name = f"{place}-{section.kind}"
        on_file_done = partial(self._on_file_done, name)
        source = SupervisedSource(
            partial(open_source, section, done=self._done_files, on_file_done=on_file_done),
            supervision_of(section, self._config.supervision),
            on_change=partial(self._on_change, name),
        )
        self.sources[name] = source
        make = partial(self._make, section)
        live = not plays_recordings(section)
        feed = Feed(
            name, source, make, patient=waits_for_us(section), live=live, names=section.hydrophone_names if live else ()
        )
        for hydrophone in self._stored_names():
            if is_named_by(section, hydrophone):
                feed.hydrophone(hydrophone)  # an open presence must be able to end, even if nothing comes
        return feed

    def _make(self, section: SourceSection, name: str) -> Hydrophone:
        hydrophone = self._hydrophone(name, pad_at_end=plays_recordings(section))
        hydrophone.restore(self._states)
        return hydrophone

    def _hydrophone(self, name: str, *, pad_at_end: bool) -> Hydrophone:
        return Hydrophone(
            name,
            station=self._config.station.name,
            contract=self._contract,
            presence=self._presence,
            guard=self._config.guard,
            pad_at_end=pad_at_end,
        )

    def _stored_names(self) -> list[str]:
        """Hydrophones that a tracker has left a state of in the journal."""
        species = {call_type.species for call_type in self._contract.call_types}
        return sorted({name for name, _, what in (key.rpartition("/") for key in self._states) if what in species})
