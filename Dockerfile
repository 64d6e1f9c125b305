FROM python:3.13.13-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIDEMARK_LOG_URL=file:/data/events

# A fixed number, so that a bind mount can be given the right owner: chown 10001 <directory>.
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin tidemark \
    && mkdir /data \
    && chown tidemark /data

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps -r requirements.txt
COPY . .

# By number, as Kubernetes' runAsNonRoot wants it.
USER 10001
VOLUME /data
EXPOSE 5000

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "serving.health_check"]

# gunicorn.conf.py says the rest: address, workers (WEB_CONCURRENCY), worker class. The first step tells a wrong setting
# in one line: gunicorn reads WEB_CONCURRENCY before its configuration, and ends with a traceback where it is no number.
CMD ["sh", "-c", "python -m settings && exec gunicorn app:app"]
