#!/bin/sh
# Builds sockets.node and tls.node beside their sources, or in the folder that it is given, where this machine can: `npm ci` calls
# it. Without them workers take libuv's sockets and Node's TLS, which cost more.
set -eu
cd "$(dirname "$0")"
folder=${1:-.}
headers=../../../../node_modules/node-api-headers/include

without() {
  echo "portico: not built: sockets.node, tls.node ($1); workers take libuv's sockets and Node's TLS, which cost a tenth more CPU" >&2
  exit 0
}

[ "$(uname -s)" = Linux ] || without 'it is for Linux'
compiler=${CC:-cc}
command -v "$compiler" >/dev/null 2>&1 || without "no C compiler: $compiler"
[ -f "$headers/node_api.h" ] || without 'no package node-api-headers'
# Whole or not at all: a worker may start meanwhile.
trap 'rm -f "$folder/sockets.node.new" "$folder/tls.node.new"' EXIT

build() {
  output=$1
  shift
  "$compiler" -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden \
    -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now \
    -I "$headers" -o "$output.new" "$@" || without "$output does not compile"
  mv "$output.new" "$output"
}

build "$folder/sockets.node" sockets.c
build "$folder/tls.node" tls.c tls-connection.c tls-context.c
