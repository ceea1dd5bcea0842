# A static binary in an empty image: docs/releases.md.
#
# BUILDER: what it is built with; a base that has musl-gcc is taken as it is
# PROFILE: `dist` is what is shipped, `release` builds faster
# COMMIT: what `twinread --version` names
ARG BUILDER=rust:1-slim-bookworm
FROM ${BUILDER} AS builder
# hadolint ignore=DL3008
RUN command -v musl-gcc || { \
        apt-get update && apt-get install --yes --no-install-recommends musl-tools && rm -rf /var/lib/apt/lists/*; \
    }
RUN rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
ARG PROFILE=dist
ARG COMMIT=
# Relative relocations are packed: 0.6 MB less.
RUN target=$(uname -m)-unknown-linux-musl \
    && export RUSTFLAGS=-Clink-arg=-Wl,-z,pack-relative-relocs TWINREAD_COMMIT=$COMMIT \
    && cargo build --locked --profile "$PROFILE" --target "$target" --target-dir /target \
    && strip -o /twinread "/target/$target/$PROFILE/twinread"

FROM scratch
COPY --from=builder /twinread /twinread
USER 65532:65532
# TWINREAD_ADMIN says where, if `admin` is not at its default.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/twinread", "livez"]
ENTRYPOINT ["/twinread"]
