# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /out/hookproxy ./cmd/hookproxy \
 && mkdir -p /out/data

# Nothing but the program, the certificates it checks HTTPS targets with, and a
# folder for the spool that its user may write to.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/hookproxy /hookproxy
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV HOOKPROXY_SPOOL=/data/hookproxy.spool \
    HOOKPROXY_RULES=/etc/hookproxy/rules.yaml \
    HOOKPROXY_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/hookproxy", "health"]
ENTRYPOINT ["/hookproxy"]
CMD ["serve"]
