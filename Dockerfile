# One image for every part: `serve` (default), `write-ledger`, `migrate`, `load GROUP.yaml`. See compose.yaml.
#
# Only the product is in it. The development stack (gateway/development: `tong up`, `tong demo`) is left out by
# .dockerignore, and so is the load test, which is no package of the wheel either (pyproject.toml). Their dependencies are
# the extras `development` and `load`, which requirements.lock does not have. tests/truth/test_image.py holds this.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/tong
COPY requirements.lock ./
RUN pip --python /opt/tong/bin/python install --require-hashes -r requirements.lock
# The build back-end stays in this stage; its versions and hashes come from the lock, as everything's do.
COPY requirements-dev.lock ./
RUN awk '/^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/ { on = 1 } on { print } !/\\$/ { on = 0 }' \
        requirements-dev.lock > build.lock \
    && pip install --require-hashes --no-deps -r build.lock
# The pages, by the node and the packages that their locks name; only what is built goes further.
COPY requirements-node.lock ./
COPY gateway/pages gateway/pages
RUN python gateway/pages/build.py && rm -rf .node
COPY pyproject.toml README.md ./
COPY gateway gateway
COPY membership membership
COPY redemption redemption
COPY tokens tokens
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheel . \
    && pip --python /opt/tong/bin/python install --no-deps --no-index /build/wheel/*.whl

FROM python:3.11-slim
# Nothing that installs or builds belongs where the product runs.
RUN python -m pip uninstall --yes --root-user-action=ignore wheel setuptools pip \
    && rm -rf /usr/local/lib/python3.11/ensurepip \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tong \
    && install --directory --owner=tong --group=tong --mode=0700 /var/lib/tong
COPY --from=build /opt/tong /opt/tong
# Bytecode is compiled at install; the root file system may be mounted read-only, TONG_HOME is the only place written.
ENV PATH=/opt/tong/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TONG_HOME=/var/lib/tong \
    TONG_HOST=0.0.0.0 \
    TONG_PORT=8000
USER 10001:10001
WORKDIR /var/lib/tong
VOLUME /var/lib/tong
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['TONG_PORT']}/healthz\", timeout=2)"]
ENTRYPOINT ["tong"]
CMD ["serve"]
