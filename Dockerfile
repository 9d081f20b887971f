# syntax=docker/dockerfile:1
# The server alone: its binary, the four libraries that it links, and the public certificate
# authorities. docs/kubernetes.md builds and starts it.

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
# jemalloc builds with make.
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
COPY . .
# The caches keep cargo's registry and the target folder, so a rebuild compiles only what changed. The
# libraries are those that ldd lists; name lookups need no others since glibc 2.34.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package hotshelf --bin hotshelf \
    && install -D -s target/release/hotshelf /image/hotshelf \
    && ldd target/release/hotshelf | grep -o '/[^ ]*' | xargs -I{} cp --dereference --parents {} /image \
    && install -D -m 444 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -d -o 65532 -g 65532 /image/var/cache/hotshelf

FROM scratch
COPY --from=build /image /
USER 65532:65532
WORKDIR /
ENV HOTSHELF_CACHE_DIR=/var/cache/hotshelf \
    HOTSHELF_DATA_ADDR=0.0.0.0:50051 \
    HOTSHELF_ADMIN_ADDR=0.0.0.0:50052 \
    HOTSHELF_HTTP_ADDR=0.0.0.0:9464
EXPOSE 50051 50052 9464
ENTRYPOINT ["/hotshelf"]
CMD ["serve"]
