"""Backups: a consistent copy of what a process has on disk, taken while it runs, and back again."""
