#!/bin/sh
# First half of an image (../../Dockerfile): the environment /opt/seacanary, made from the checkout in which it is run.
# usage: build.sh EXTRAS, such as cpu,cluster
set -eu
: "${HATCHLING:?which version makes the wheel: no environment of ours pins it}"

python3 -m venv /build/tools
pip=/build/tools/bin/pip
"$pip" install --quiet "hatchling==$HATCHLING"
"$pip" wheel --quiet --no-build-isolation --no-deps --wheel-dir /build/wheel .

# The environment itself has no pip: nothing is installed into it later.
python3 -m venv --without-pip /opt/seacanary
"$pip" --python /opt/seacanary/bin/python install --progress-bar off --no-compile -c constraints.txt \
  "$(echo /build/wheel/seacanary-*.whl)[$1]"
# The libraries' own tests are a tenth of their size.
find /opt/seacanary/lib -type d -name tests -path '*/site-packages/*' -prune -exec rm -r {} +
# Bytecode names the hash of its source in place of a time, so that every build makes the same; it is made now because
# the root of a container that runs cannot be written.
/opt/seacanary/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/seacanary/lib
