# The controller, static, on nothing else.
FROM rust:1.95-alpine AS build
# jemalloc is built by make.
RUN apk add --no-cache make musl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package gatecert-controller-bin

FROM scratch
COPY --from=build /src/target/release/gatecert-controller /gatecert-controller
USER 65532:65532
ENTRYPOINT ["/gatecert-controller"]
