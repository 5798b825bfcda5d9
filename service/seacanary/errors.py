"""The exception tree: what machines do wrong. What the sea does is data."""


class SeaCanaryError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigError(SeaCanaryError):
    """A configuration was refused; the message names field, value and remedy."""


class ModelRefused(SeaCanaryError):
    """A model file is missing, damaged, or breaks its contract."""


class ProviderRefused(ModelRefused):
    """The execution provider asked for is not what the session really got."""


class SourceError(SeaCanaryError):
    """Something is wrong with a hydrophone feed."""


class SourceLost(SourceError):
    """The feed broke or could not be opened now; reopening may help."""


class SourceUnusable(SourceError):
    """The feed can never work as configured; reopening cannot help."""


class JournalError(SeaCanaryError):
    """The journal cannot be read or written."""


class DeliveryError(SeaCanaryError):
    """An event could not be delivered."""


class DeliveryRetryable(DeliveryError):
    """The far side is unwell; back off and try again."""


class DeliveryRejected(DeliveryError):
    """The far side will never accept this event; it belongs in the dead letters."""
