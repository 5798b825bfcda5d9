"""Growing: a batch's size that is asked for anew with every record. Faust's take() takes one size for good: the largest
would let images wait for company that is not needed, and a small one would leave a worker that is behind there.
"""

from collections.abc import Callable


class Growing(int):
    """A size to be compared with, as Faust compares what it has taken."""

    _size: Callable[[], int]

    def __new__(cls, size: Callable[[], int]) -> "Growing":
        """Ask for the size from now on.

        Args:
            size: how many records make a batch now.
        """
        growing = super().__new__(cls)
        growing._size = size
        return growing

    def __le__(self, taken: int) -> bool:
        """Whether what was taken is enough."""
        return self._size() <= taken

    def __gt__(self, taken: int) -> bool:
        """Whether there is room for more."""
        return self._size() > taken
