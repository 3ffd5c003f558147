# Portico's image: production dependencies only, an unprivileged user, and nothing that has to be written.
#   docker build -t portico .
#   docker run --read-only --cap-drop=ALL -v ./portico.yaml:/etc/portico/portico.yaml:ro \
#     -v portico-state:/var/lib/portico -p 8080:8080 portico

FROM node:26-bookworm-slim AS dependencies
WORKDIR /opt/portico
COPY package.json package-lock.json ./
# No install scripts: the one that matters in development brings a Node binary, and here the image is one.
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force

# The sockets of workers and their TLS, in C: the slim image has no compiler.
FROM node:26-bookworm AS sockets
WORKDIR /opt/portico
COPY --from=dependencies /opt/portico/node_modules/node-api-headers ./node_modules/node-api-headers
COPY src/proxy/wire/epoll ./src/proxy/wire/epoll
RUN sh src/proxy/wire/epoll/build.sh && cd src/proxy/wire/epoll && test -f sockets.node && test -f tls.node

FROM node:26-bookworm-slim
LABEL org.opencontainers.image.title="portico" \
      org.opencontainers.image.description="Edge load balancer and NodePort router for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /opt/portico
COPY --from=dependencies /opt/portico/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
COPY --from=sockets /opt/portico/src/proxy/wire/epoll/*.node ./src/proxy/wire/epoll/
# The kept inventory (stateDirectory) is the only thing that Portico writes.
RUN mkdir -p /var/lib/portico .cache/code && chown 1000:1000 /var/lib/portico .cache/code
# The uid of user "node" in the base image; a number, so that runAsNonRoot can be checked.
USER 1000:1000
# What each start would compile anew: a worker that died is back in a third of the time.
RUN ["node", "src/portico.js", "--role=compile"]
VOLUME /var/lib/portico
EXPOSE 8080 8443 2222
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=2s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9901/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "src/portico.js"]
CMD ["run", "-c", "/etc/portico/portico.yaml"]
