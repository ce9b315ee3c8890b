# syntax=docker/dockerfile:1

# The pages' templates, styles, scripts and fonts and the bundled SQLite are inside the one binary.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin countersign \
    && install -D target/release/countersign /out/countersign

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 countersign \
    && useradd --system --uid 10001 --gid countersign --home-dir /data --no-create-home --shell /usr/sbin/nologin countersign \
    && install -d -o countersign -g countersign -m 0700 /data
COPY --from=build /out/countersign /usr/local/bin/countersign
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/countersign/
USER countersign
WORKDIR /data
# The SQLite database and the signing keys. Back up the volume as a whole, or by `countersign backup`.
VOLUME /data
ENV COUNTERSIGN_DATABASE=sqlite:///data/countersign.db \
    COUNTERSIGN_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# bash's own socket, so that the image needs no program for this alone.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r -t 4 _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["countersign"]
CMD ["serve"]
