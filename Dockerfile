# Two images from one file: `--target agent` is the sidecar, `--target operator` runs the operator and the injector.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE MANIFEST.in ./
COPY agent agent
COPY operator operator
# No folder of the sources may hide a module of the standard library's (`operator`).
ENV PYTHONSAFEPATH=1
RUN python3 -m venv /opt/agent && /opt/agent/bin/pip install --no-cache-dir --no-compile '.[agent,grpc]'
RUN python3 -m venv /opt/operator && /opt/operator/bin/pip install --no-cache-dir --no-compile '.[operator]'

FROM ${PYTHON_IMAGE} AS agent
COPY --from=build /opt/agent /opt/agent
ENV PATH=/opt/agent/bin:$PATH PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["haproxy-telemetry-agent"]
CMD ["run", "--supervise"]

FROM ${PYTHON_IMAGE} AS operator
COPY --from=build /opt/operator /opt/operator
ENV PATH=/opt/operator/bin:$PATH PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["haproxy-telemetry-operator"]
CMD ["run"]
