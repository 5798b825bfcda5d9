"""Names of the hydrophones of one feed."""

from seacanary.errors import SourceUnusable


def hydrophone_names(name: str, channels: int, given: tuple[str, ...] = ()) -> tuple[str, ...]:
    """One name per channel: those given, else the feed's name, numbered if it has several channels.

    Raises:
        SourceUnusable: names were given, but not one per channel.
    """
    if given and len(given) != channels:
        raise SourceUnusable(
            f"{name}: hydrophones names {len(given)} ({', '.join(given)}), but the feed has {channels} channels; "
            "give one name per channel, or none"
        )
    if given:
        return given
    return (name,) if channels == 1 else tuple(f"{name}-ch{i}" for i in range(1, channels + 1))
