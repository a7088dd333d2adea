# syntax=docker/dockerfile:1
#
#   docker build -t phi-assistant .                          for the CPU, about 1.5 GB
#   docker build -t phi-assistant --build-arg VARIANT=gpu .  with CUDA, several GB more
#   docker run --rm --init -p 127.0.0.1:8000:8000 -p 40000-40031:40000-40031/udp \
#       -v models:/data [--gpus all] phi-assistant
#
# WebRTC's sound and pictures come in by those UDP ports; without them everybody uses
# WebSockets. Callers from other machines need rtc.announced_address, the address of the
# host: copy configs/container.toml, add it, and mount the file with
#   -v $PWD/container.toml:/etc/phi-assistant.toml:ro
#
# Fetched models are kept in /data; fetch one with
#   docker run --rm -v models:/data phi-assistant assistant model fetch ORG/NAME

ARG PYTHON_VERSION=3.12

# --- build: a virtual environment with the service in it ---------------------------------
FROM python:${PYTHON_VERSION}-slim-bookworm AS build

# cpu or gpu; TORCH_INDEX_URL overrides where torch comes from (a mirror, another CUDA).
ARG VARIANT=cpu
ARG TORCH_INDEX_URL=""

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PATH=/opt/venv/bin:$PATH

RUN python -m venv /opt/venv; \
    case "${VARIANT}" in \
        cpu) index="${TORCH_INDEX_URL:-https://download.pytorch.org/whl/cpu}" ;; \
        gpu) index="${TORCH_INDEX_URL:-https://pypi.org/simple}" ;; \
        *) echo "VARIANT is cpu or gpu, not ${VARIANT}" >&2; exit 1 ;; \
    esac; \
    pip install --index-url "${index}" torch==2.13.0

WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY configs/ configs/
COPY web/ web/
COPY assistant/ assistant/
RUN pip install -c configs/constraints.txt ".[engine]" && assistant --version

# --- the image: that environment and nothing that was needed to make it ------------------
FROM python:${PYTHON_VERSION}-slim-bookworm

RUN useradd --system --uid 10001 --user-group --create-home assistant \
    && install -d -o assistant -g assistant /data
COPY --from=build /opt/venv /opt/venv
COPY configs/container.toml /etc/phi-assistant.toml

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    XDG_DATA_HOME=/data \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

USER assistant
WORKDIR /home/assistant
VOLUME ["/data"]
EXPOSE 8000
EXPOSE 40000-40031/udp

# The start period covers loading the real model from a slow disk.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]

CMD ["assistant", "serve", "--config", "/etc/phi-assistant.toml", "--host", "0.0.0.0"]
