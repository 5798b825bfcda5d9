"""Name and position of a station, as people write them."""

import re
import socket

from pydantic import ValidationError

from seacanary.config import StationSection

FORBIDDEN = re.compile(r"[^\w.-]+")


def suggested_name() -> str:
    """This machine's own name, as far as a station may be called so."""
    return FORBIDDEN.sub("-", socket.gethostname().partition(".")[0])[:64].strip("-") or "station"


def read_name(said: str) -> str:
    """A station's name.

    Raises:
        ValueError: it cannot be one; says what can.
    """
    try:
        return StationSection(name=said).name
    except ValidationError:
        raise ValueError(
            f"got {said!r}; a name has letters, digits, '.', '_' and '-', no spaces, 64 at most, such as pier-7"
        ) from None


def read_position(said: str) -> tuple[float, float] | None:
    """Degrees north and east; None: it is not known.

    Raises:
        ValueError: they are no numbers, or not on this Earth.
    """
    if not said:
        return None
    parts = re.split(r"[,;\s]+", said.strip())
    try:
        latitude, longitude = map(float, parts)
        StationSection(name="x", latitude=latitude, longitude=longitude)
    except ValueError:
        raise ValueError(
            f"got {said!r}; degrees north, then east, such as 48.14, -69.72 (south and west are negative)"
        ) from None
    return latitude, longitude


def station_section(name: str, position: tuple[float, float] | None) -> dict[str, object]:
    """The section of a configuration."""
    where = {} if position is None else {"latitude": position[0], "longitude": position[1]}
    return {"name": name, **where}
