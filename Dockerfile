# Two images from one file: `ui` serves the desk and the API, `worker` scores, explains and trains.
#
#   docker build --target ui -t signoff-ui .
#   docker build --target worker -t signoff-worker .
#   docker build --target worker --build-arg TORCH=cpu --build-arg TORCH_INDEX=URL -t signoff-worker .
#
# TORCH says which torch the worker gets. `cuda`: what pip takes by default on Linux, several gigabytes, and it also runs on
# a CPU. `cpu`: the small build; it lies in an index of its own, whose address PyTorch's install page names and TORCH_INDEX
# must give. constraints.txt pins torch==2.13.0, which both builds satisfy.

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /srv/signoff
ENV PATH=/srv/signoff/bin:$PATH
WORKDIR /src
COPY . .
RUN pip install -c constraints.txt ".[postgres,oidc]"

FROM build AS build-worker
ARG TORCH=cuda
ARG TORCH_INDEX=
RUN case "$TORCH" in \
      cuda) pip install -c constraints.txt torch ;; \
      cpu) pip install -c constraints.txt --extra-index-url "${TORCH_INDEX:?TORCH=cpu needs TORCH_INDEX, the index of the CPU builds}" torch ;; \
      *) echo "TORCH is cpu or cuda, not $TORCH" >&2; exit 2 ;; \
    esac
RUN pip install -c constraints.txt ".[postgres,oidc,worker,onnx,hf]"

FROM python:3.12-slim AS base
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin signoff \
 && install -d -o signoff -g signoff -m 0700 /data
ENV PATH=/srv/signoff/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SIGNOFF_DIR=/data \
    DO_NOT_TRACK=1 \
    STREAMLIT_BROWSER_GATHER_USAGE_STATS=false \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["signoff"]

FROM base AS ui
COPY --from=build /srv/signoff /srv/signoff
# It answers others only once somebody can sign in; until then it ends with a sentence that says so.
ENV SIGNOFF_HOST=0.0.0.0 SIGNOFF_PORT=8501
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"SIGNOFF_PORT\"]}/healthz', timeout=3)"]
CMD ["ui", "run"]

FROM base AS worker
COPY --from=build-worker /srv/signoff /srv/signoff
# A worker listens on nothing; what it has not done in time, `signoff doctor` and /api/metrics tell.
HEALTHCHECK NONE
CMD ["worker", "run"]
