#!/bin/sh
# Builds sockets.node beside sockets.c, or at the path that it is given, where this machine can: `npm ci` calls it. Without it
# workers take libuv's sockets, which cost more.
set -eu
cd "$(dirname "$0")"
output=${1:-sockets.node}
headers=../../../../node_modules/node-api-headers/include

without() {
  echo "portico: not built: sockets.node ($1); workers take libuv's sockets, which cost a tenth more CPU" >&2
  exit 0
}

[ "$(uname -s)" = Linux ] || without 'it is for Linux'
compiler=${CC:-cc}
command -v "$compiler" >/dev/null 2>&1 || without "no C compiler: $compiler"
[ -f "$headers/node_api.h" ] || without 'no package node-api-headers'
# Whole or not at all: a worker may start meanwhile.
trap 'rm -f "$output.new"' EXIT
"$compiler" -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden \
  -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now \
  -I "$headers" -o "$output.new" sockets.c || without 'it does not compile'
mv "$output.new" "$output"
