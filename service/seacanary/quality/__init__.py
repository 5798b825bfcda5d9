"""Quality: how good each hydrophone's signal is, second by second."""
