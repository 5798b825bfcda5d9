"""The model workshop: simulate, train, evaluate and export. Needs torch."""
