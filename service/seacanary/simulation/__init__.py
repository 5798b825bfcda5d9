"""Seeded soundscapes with exact labels and stems: for the demo, the self-test and training alike."""
