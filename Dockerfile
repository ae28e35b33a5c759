# One image for every process: `api` (the default) and `worker`. Databases are named by HUIMIN_MONGO_URL and
# HUIMIN_REDIS_URL; none is embedded here. At run time only the audit log's checkpoints are written, to HUIMIN_HOME: the
# rest of the file system may be read-only.

FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock .
RUN python -m venv /venv \
 && /venv/bin/python -m pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r requirements.lock \
 && /venv/bin/python -m compileall -q -j 0 /venv/lib

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="huimin" org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1 \
    HUIMIN_MODE=production HUIMIN_HOME=/var/lib/huimin
RUN groupadd --gid 10001 huimin && useradd --uid 10001 --gid huimin --no-create-home --shell /usr/sbin/nologin huimin \
 && install -d -o huimin -g huimin -m 0700 /var/lib/huimin
COPY --from=build /venv /venv
WORKDIR /app
COPY LICENSE pyproject.toml ./
COPY data data
COPY server server
COPY channels channels
COPY handlers handlers
COPY push push
RUN python -m compileall -q server channels handlers push
USER 10001:10001
# 8080: citizens and officers. 8081: health and metrics, to be kept inside.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# The command's own module: `python -m server health` does the same, but loads all commands first.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["python", "-m", "server.commands.health"]
ENTRYPOINT ["python", "-m", "server"]
CMD ["api"]
