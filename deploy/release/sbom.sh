#!/usr/bin/env bash
# Write the bill of materials of an environment as CycloneDX JSON.
# Usage: sbom.sh ENVIRONMENT FILE [PYTHON]; PYTHON has cyclonedx-bom, default: python3.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
"${3:-python3}" -m cyclonedx_py environment "$1/bin/python" --pyproject "$root/pyproject.toml" \
  --mc-type application --output-reproducible --of JSON --output-file "$2"
