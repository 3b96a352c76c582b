# syntax=docker/dockerfile:1
# The Docker platform builds this on every instance. For the Go platform use Procfile and Buildfile.
# The application to build: any main package of this module.
ARG APPLICATION=./examples/chat

FROM golang:1.26 AS build
ARG APPLICATION
WORKDIR /src
# Modules first: this layer is kept while go.mod and go.sum stay as they are. With a vendor folder none need be
# fetched, and what is missing all the same the build says.
COPY go.mod go.sum ./
RUN go mod download || echo "building with what the bundle brings"
COPY . .
# Without cgo the binaries are static and run in an image that has nothing else.
ENV CGO_ENABLED=0
RUN go build -trimpath -ldflags=-s -o /out/application "$APPLICATION" && \
    go build -trimpath -ldflags=-s -o /out/health github.com/beanpole/beanpole/cmd/health

FROM scratch
# Roots for TLS to Redis.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /bin/
# Nobody: a number, as there is no /etc/passwd.
USER 65532:65532
# The platform's nginx takes the first port as its upstream, so there is exactly one.
EXPOSE 5000
ENV PORT=5000
# What X-Beanpole says; `beanpole pack` puts the revision in, as .git is not in the context.
ENV BEANPOLE_VERSION=
# The platform stops a container with SIGTERM and kills it 10 s later.
ENV BEANPOLE_SHUTDOWN_TIMEOUT=8s
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bin/health", "/livez"]
# Exec form: the signal reaches the server and not a shell.
CMD ["/bin/application"]
