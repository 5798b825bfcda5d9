"""The Grafana dashboards as code: `python -m dashboards.source` writes the JSON files beside this package."""
