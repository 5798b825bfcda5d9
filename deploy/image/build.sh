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

# What nothing here runs: the libraries' own tests, sources and headers in C, a second ONNX Runtime for programs in C,
# symbols for debuggers. What auditwheel has put aside in *.libs is left as it is: strip has broken such files.
find /opt/seacanary/lib -type d -name tests -path '*/site-packages/*' -prune -exec rm -r {} +
find /opt/seacanary/lib -type f -regex '.*\.\(c\|cpp\|h\|hpp\|pxd\|pyi\|pyx\)' -delete
find /opt/seacanary/lib -path '*/onnxruntime/capi/libonnxruntime.so.*' -delete
find /opt/seacanary/lib -name '*.so*' -not -path '*.libs/*' -size +1M -exec strip --strip-unneeded {} +

/opt/seacanary/bin/python deploy/image/bytecode.py
