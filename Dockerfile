# Sea Canary in a container, without torch and without a compiler. docs/image.md tells of it.
#   docker build --target cpu -t seacanary:0.1.0 .
#   docker build --target gpu -t seacanary:0.1.0-gpu .
# Behind a mirror of the package index, or a proxy with a certificate of its own, pip is told so by build secrets, which
# stay in no layer:  --secret id=pip.conf,src=... --secret id=ca.crt,src=...
# The targets differ in nothing but their base and their ONNX Runtime; tests/service/test_image_files.py holds them together.

# A base has apt-get and Debian's or Ubuntu's packages. By digest (NAME@sha256:...) it is the same for ever, by tag it
# gets the distribution's corrections.
ARG CPU_BASE=python:3.11.14-slim-bookworm
ARG GPU_BASE=nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04

# hadolint ignore=DL3006
FROM ${GPU_BASE} AS gpu-build
# Compilers and headers are for pyalsaaudio, of which there is no wheel.
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends gcc libasound2-dev libc6-dev python3-dev python3-venv >/dev/null
WORKDIR /build/checkout
ARG HATCHLING=1.33.0
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_NO_CACHE_DIR=1
COPY . .
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    deploy/image/build.sh gpu,cluster,alsa

# hadolint ignore=DL3006
FROM ${GPU_BASE} AS gpu
RUN --mount=type=bind,source=deploy/image/runtime.sh,target=/runtime.sh /runtime.sh python3
COPY --from=gpu-build /opt/seacanary /opt/seacanary
COPY deploy/image/healthz.py /opt/seacanary/healthz.py
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sea Canary (gpu)" \
      org.opencontainers.image.description="An always-on listening post for marine mammals" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/seacanary/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1 \
    SEACANARY_METRICS_PORT=9108
USER 10001:10001
WORKDIR /var/lib/seacanary
VOLUME /var/lib/seacanary
EXPOSE 8320 9108
HEALTHCHECK --interval=15s --timeout=5s --retries=4 --start-period=60s CMD ["python", "/opt/seacanary/healthz.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "seacanary"]
CMD ["run", "/etc/seacanary/station.yaml"]

# hadolint ignore=DL3006
FROM ${CPU_BASE} AS cpu-build
# Compilers and headers are for pyalsaaudio, of which there is no wheel.
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends gcc libasound2-dev libc6-dev python3-dev python3-venv >/dev/null
WORKDIR /build/checkout
ARG HATCHLING=1.33.0
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_NO_CACHE_DIR=1
COPY . .
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    deploy/image/build.sh cpu,cluster,alsa

# hadolint ignore=DL3006
FROM ${CPU_BASE} AS cpu
RUN --mount=type=bind,source=deploy/image/runtime.sh,target=/runtime.sh /runtime.sh
COPY --from=cpu-build /opt/seacanary /opt/seacanary
COPY deploy/image/healthz.py /opt/seacanary/healthz.py
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sea Canary (cpu)" \
      org.opencontainers.image.description="An always-on listening post for marine mammals" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/seacanary/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1 \
    SEACANARY_METRICS_PORT=9108
USER 10001:10001
WORKDIR /var/lib/seacanary
VOLUME /var/lib/seacanary
EXPOSE 8320 9108
HEALTHCHECK --interval=15s --timeout=5s --retries=4 --start-period=60s CMD ["python", "/opt/seacanary/healthz.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "seacanary"]
CMD ["run", "/etc/seacanary/station.yaml"]
