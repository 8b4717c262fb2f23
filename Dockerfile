# kistd as an image: built on debian:12, run on debian:12-slim as uid 7700.
#
#   docker build -t kist .
#   docker run -p 7700:7700 -v kist-data:/data kist
#
# No step of the running image needs a shell. tests/deploy replays this file
# without an engine, so it stays true where none runs.

FROM debian:12 AS build
COPY deploy/packages/build.txt /tmp/build.txt
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        $(sed 's/#.*//' /tmp/build.txt) \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN meson setup build/image --buildtype=release -Db_lto=true -Dtests=false \
    && ninja -C build/image kistd

FROM debian:12-slim
COPY deploy/packages/runtime.txt /tmp/runtime.txt
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        $(sed 's/#.*//' /tmp/runtime.txt) \
    && rm -rf /var/lib/apt/lists/* /tmp/runtime.txt
RUN useradd --system --uid 7700 --user-group --home-dir /data --no-log-init kist \
    && install -d -o kist -g kist -m 0750 /data
COPY --from=build /src/build/image/kistd /usr/bin/kistd
ENV KIST_LISTEN=0.0.0.0:7700 \
    KIST_DATA=/data
USER 7700:7700
VOLUME /data
EXPOSE 7700
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/usr/bin/kistd", "--healthcheck"]
ENTRYPOINT ["/usr/bin/kistd"]
