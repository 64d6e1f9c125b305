FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TIDEMARK_LOG_URL=lmdb:/data/log

# A fixed number, so that a bind mount can be given the right owner: chown 10001 <directory>.
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin tidemark \
    && mkdir /data \
    && chown tidemark /data

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps -r requirements.txt
COPY . .

USER tidemark
VOLUME /data
EXPOSE 5000

HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, sys, http.client as http; c = http.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 5000), timeout=2); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]

# gunicorn.conf.py says the rest: address, workers (WEB_CONCURRENCY), worker class.
CMD ["gunicorn", "app:app"]
