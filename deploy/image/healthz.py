"""Health check of an image: 0 if the process says by /healthz that it is alive, else 1."""

import http.client
import os
import sys

# The same as metrics.port of the configuration; the address must be the default one or 0.0.0.0.
port = int(os.environ["SEACANARY_METRICS_PORT"])
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
try:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    sys.stdout.write(answer.read().decode(errors="replace"))  # for `docker inspect`
    sys.exit(answer.status != http.client.OK)
except OSError as exc:
    sys.exit(f"127.0.0.1:{port}/healthz: {exc}")
