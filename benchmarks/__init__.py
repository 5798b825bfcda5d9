"""What every published figure comes from."""
