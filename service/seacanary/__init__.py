"""Sea Canary: an always-on listening post for marine mammals."""

__version__ = "0.1.0"
