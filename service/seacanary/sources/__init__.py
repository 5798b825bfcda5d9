"""The Source protocol. One file per kind of hydrophone feed."""

from collections.abc import AsyncIterator
from typing import Protocol

from seacanary.audio import AudioBlock


class Source(Protocol):
    """A feed of one or more hydrophones. Opened by the first step of blocks()."""

    def blocks(self) -> AsyncIterator[AudioBlock]:
        """Yield blocks; per hydrophone in sample order, a jump in first_sample is a gap.

        A new epoch in a block means the count began anew. The iterator ends
        when the feed is over (a file).

        Raises:
            SourceLost: the feed broke or cannot be opened now; the caller
                closes it and opens a new one, backing off.
            SourceUnusable: it can never work as configured.
        """

    async def aclose(self) -> None:
        """Release the device, socket or file; safe to call twice."""
