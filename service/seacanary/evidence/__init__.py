"""Evidence: events' audio as clips, what is made of them, how long they are kept; the archive of all audio."""
