"""Log records to a terminal or pipe that may block, from a thread of their own."""

import logging

from seacanary.outlet import Outlet

RECORDS_KEPT = 1000
LAST_RECORDS_S = 1.0


class LogOutlet(logging.Handler):
    """Passes records on to a handler whose stream may block; nobody who logs waits for it."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler
        self._outlet = Outlet(handler.emit, most=RECORDS_KEPT)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's name
        """Format as told, in the handler that writes."""
        self._handler.setFormatter(fmt)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record over; never blocks."""
        self._outlet.put(record)

    def close(self) -> None:
        """Let the last records go out, for a moment at most."""
        self._outlet.close(LAST_RECORDS_S)
        super().close()
