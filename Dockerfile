# One image for a task (`sweeper run`; `run --yes` to let it change repositories) and for a Lambda,
# whose ImageConfig is EntryPoint ["python", "-m", "awslambdaric"], Command ["sweeper.lambda_handler.handler"].
ARG PYTHON=docker.io/library/python:3.13-slim
ARG UV=ghcr.io/astral-sh/uv:0.13.9

FROM ${UV} AS uv

FROM ${PYTHON} AS build
COPY --from=uv /uv /usr/local/bin/uv
# Byte code is compiled here: the file system is read-only where the image runs.
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/sweeper
WORKDIR /src
# What changes least comes first: the dependencies are a layer of their own.
COPY pyproject.toml uv.lock ./
RUN ["uv", "sync", "--locked", "--no-dev", "--extra", "lambda", "--no-install-project"]
COPY README.md LICENSE config.yaml ./
COPY stacksets/*.yaml stacksets/*.json ./stacksets/
COPY sweeper ./sweeper
RUN ["uv", "sync", "--locked", "--no-dev", "--extra", "lambda", "--no-editable"]

FROM ${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sweeper" \
      org.opencontainers.image.description="Find mutable ECR tags across an AWS organization and make them immutable" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT-0"
COPY --from=build /opt/sweeper /opt/sweeper
ENV PATH=/opt/sweeper/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /
USER 65532:65532
ENTRYPOINT ["sweeper"]
CMD ["run"]
