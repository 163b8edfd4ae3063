# Two images: one for CPUs, one for NVIDIA GPUs (torch from PyPI brings CUDA; the host needs the
# driver and the NVIDIA container toolkit).
#   docker build --target cpu -t fusetrain:cpu .
#   docker build --target cuda -t fusetrain:cuda .
#   docker run --rm -v "$PWD:/work" fusetrain:cpu train --config train.yaml
#   docker run --rm --gpus all --shm-size 8g -v "$PWD:/work" fusetrain:cuda train --config train.yaml
FROM python:3.12-slim AS source
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY fusetrain ./fusetrain

FROM python:3.12-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 1000 fuse
COPY --from=source /src /src

FROM base AS cuda
RUN python -m pip install '/src[onnx,tensorboard,tune]'
USER fuse
WORKDIR /work
# SIGTERM of `docker stop` saves the run: `docker stop -t 120` leaves time for it.
ENTRYPOINT ["fusetrain"]
CMD ["--help"]

FROM base AS cpu
RUN python -m pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu \
    && python -m pip install '/src[onnx,tensorboard,tune]'
USER fuse
WORKDIR /work
ENTRYPOINT ["fusetrain"]
CMD ["--help"]
