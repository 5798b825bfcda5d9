"""What an edge says of its hydrophones: images of windows, stretches that were lost, ends and silence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from seacanary.audio import Window
from seacanary.batching import StreamEnded
from seacanary.cluster.envelope import EdgeClock, EndEnvelope, Envelope, ImageEnvelope, LostEnvelope, contract_sha256
from seacanary.cluster.envelope_codec import encode
from seacanary.contract import ModelContract
from seacanary.image_detection import Transformer
from seacanary.observations import Imaged, Unobserved

# The spool sets both when it stores an envelope.
_UNNUMBERED, _NO_RUN = 0, datetime.fromtimestamp(0, UTC)


class ImageMaker:
    """T in the detector's place."""

    def __init__(self, transformer: Transformer) -> None:
        self._transformer = transformer

    def detect(self, windows: Sequence[Window]) -> list[Imaged]:
        """The image of each window; blocks."""
        contract = self._transformer.contract
        return [
            Imaged(
                hydrophone=window.hydrophone,
                epoch=window.epoch,
                first_sample=window.first_sample,
                end_sample=window.end_sample,
                sample_rate_hz=window.sample_rate_hz,
                start=window.start,
                source_file=window.source_file,
                missing_fraction=window.missing_fraction,
                clipped_fraction=window.clipped_fraction,
                image=image,
                unobserved=contract.unobservable(window.sample_rate_hz),
            )
            for window, image in zip(windows, self._transformer.images(windows), strict=True)
        ]


def image_record_bytes(contract: ModelContract) -> int:
    """Size of the largest record that an image can become, names not counted: noise, which deflate does not shorten."""
    rows, columns = sum(rows.count for rows in contract.transform.rows), contract.transform.columns
    envelope = ImageEnvelope(
        station="",
        run=_NO_RUN,
        number=_UNNUMBERED,
        hydrophone="",
        contract_sha256=contract_sha256(contract),
        epoch=_NO_RUN,
        first_sample=0,
        end_sample=contract.window_samples,
        sample_rate_hz=contract.sample_rate_hz,
        start=_NO_RUN,
        missing_fraction=0.0,
        clipped_fraction=0.0,
        source_file=None,
        image=np.random.default_rng(0).integers(0, 256, (rows, columns), np.uint8),
    )
    return len(encode(envelope))


class Addressing:
    """Puts what became of a window into an envelope."""

    def __init__(self, station: str, contract: ModelContract) -> None:
        """Prepare for a station whose T has this contract."""
        self._station, self._sha256 = station, contract_sha256(contract)

    def envelope(self, item: Imaged | Unobserved | StreamEnded, clock: EdgeClock) -> Envelope:
        """The envelope of an image, a lost stretch or the end of a stream."""
        match item:
            case Imaged():
                return self._image(item, clock)
            case Unobserved():
                return LostEnvelope(station=self._station, run=_NO_RUN, number=_UNNUMBERED, lost=item)
            case StreamEnded():
                return EndEnvelope(
                    station=self._station,
                    run=_NO_RUN,
                    number=_UNNUMBERED,
                    hydrophone=item.hydrophone,
                    reason=item.reason,
                )

    def silence(self, hydrophone: str, silent_s: float) -> Envelope:
        """The envelope that ends what has been silent longer than its hold."""
        return EndEnvelope(
            station=self._station,
            run=_NO_RUN,
            number=_UNNUMBERED,
            hydrophone=hydrophone,
            reason="lost_coverage",
            silent_s=silent_s,
        )

    def _image(self, item: Imaged, clock: EdgeClock) -> ImageEnvelope:
        return ImageEnvelope(
            station=self._station,
            run=_NO_RUN,
            number=_UNNUMBERED,
            hydrophone=item.hydrophone,
            contract_sha256=self._sha256,
            epoch=item.epoch,
            first_sample=item.first_sample,
            end_sample=item.end_sample,
            sample_rate_hz=item.sample_rate_hz,
            start=item.start,
            missing_fraction=item.missing_fraction,
            clipped_fraction=item.clipped_fraction,
            source_file=item.source_file,
            image=item.image,
            clock=clock,
        )


@dataclass(slots=True)
class Silences:
    """Which silences are worth a word: those that have just outlasted the hold of a species.

    Attributes:
        holds_s: of all species, seconds.
    """

    holds_s: Sequence[float]
    _told_s: dict[str, float] = field(default_factory=dict)

    def due(self, silent_s: Mapping[str, float]) -> dict[str, float]:
        """Silence to be told of, seconds by hydrophone; once for each hold that it outlasts.

        Args:
            silent_s: how long each hydrophone has been silent now.
        """
        found = {}
        for name, now_s in silent_s.items():
            outlasted_s = max((hold_s for hold_s in self.holds_s if hold_s <= now_s), default=None)
            if outlasted_s is None:
                self._told_s.pop(name, None)
            elif outlasted_s > self._told_s.get(name, -1.0):
                found[name] = self._told_s[name] = outlasted_s
        return found
