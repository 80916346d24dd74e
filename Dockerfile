# One image for every role: `docker run … api`, `stream`, `worker`, `beat`, or any manage.py command.
#
# The base is named by tag, so that a build gets the fixes of its day. To build the same image
# twice, name a digest: --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements/production.txt /tmp/production.txt
RUN /venv/bin/python -m pip install --require-hashes --only-binary :all: -r /tmp/production.txt

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin aftercommit \
    && install -d -o aftercommit -g aftercommit /srv/static
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py LICENSE ./
COPY config config
COPY tasks_app tasks_app
COPY realtime realtime
RUN /venv/bin/python -m compileall -q -j 0 config tasks_app realtime
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    STATIC_ROOT=/srv/static \
    LOG_FORMAT=json
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
    CMD ["python", "-m", "config.healthcheck"]
ENTRYPOINT ["python", "-m", "config.roles"]
CMD ["help"]
