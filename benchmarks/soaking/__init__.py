"""A whole station under a seeded storm of faults, and what it is judged by."""
