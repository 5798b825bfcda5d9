"""Read files: which recordings need not be read again after a restart."""

from collections.abc import Awaitable, Callable, Collection

from seacanary.batching import FileDone


class ReadFiles:
    """Marks the files of an epoch as done when another epoch has begun, or the feed is over.

    After a crash an epoch is then read again from its first file, so that windows lie where they
    lay before, and what was told of them is recognised.
    """

    def __init__(self, mark: Callable[[Collection[str]], Awaitable[None]]) -> None:
        """Prepare; `mark` notes files durably."""
        self._mark = mark
        self._read: dict[str, list[FileDone]] = {}

    async def file_done(self, done: FileDone) -> None:
        """All of a file stands before this point of its feed."""
        epochs = [file.epoch for file in self._read.get(done.feed, []) if file.epoch is not None]
        if epochs and done.epoch is not None and epochs[-1] != done.epoch:
            await self.feed_done(done.feed)
        self._read.setdefault(done.feed, []).append(done)

    async def feed_done(self, feed: str) -> None:
        """All that the feed has read is done."""
        await self._mark([file.path for file in self._read.pop(feed, [])])
