"""The station's web server: a page to look at an event and judge it, evidence, and a JSON API."""
