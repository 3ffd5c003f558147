#!/bin/sh
# Installs real peer programs from Debian's packages: sshd, ssh, git, curl, haproxy, nginx, promtool, and for the
# world in network namespaces nft, ip, conntrack, nsenter, setpriv, pip3; for the TLS scans testssl, pip3; for the
# floods slowhttptest; for the real clients of HTTP/2 nghttp, h2load, chromium; for sshd go-mmproxy.
# usage: install-peers.sh [name ...]   (all of them without arguments; needs root and apt-get)
# What is in PATH already is left alone, and no service is started.
set -eu

PATH="$PATH:/usr/sbin:/sbin"
export DEBIAN_FRONTEND=noninteractive

package_of() {
  case "$1" in
    sshd) echo openssh-server ;;
    ssh | ssh-keygen) echo openssh-client ;;
    git) echo git ;;
    curl) echo curl ;;
    openssl) echo openssl ;;
    nghttp | h2load) echo nghttp2-client ;;
    chromium) echo chromium ;;
    haproxy) echo haproxy ;;
    nginx) echo nginx-light ;;
    promtool) echo prometheus ;;
    nft) echo nftables ;;
    ip) echo iproute2 ;;
    conntrack) echo conntrack ;;
    nsenter | setpriv) echo util-linux ;;
    pip3) echo python3-pip ;;
    testssl) echo testssl.sh ;;
    slowhttptest) echo slowhttptest ;;
    go-mmproxy) echo go-mmproxy ;;
    *)
      echo "install-peers.sh: unknown peer: $1" >&2
      exit 64
      ;;
  esac
}

if [ "$#" -eq 0 ]; then
  set -- sshd ssh ssh-keygen git curl haproxy nginx promtool
fi

packages=
for name in "$@"; do
  package=$(package_of "$name")
  command -v "$name" >/dev/null 2>&1 || packages="$packages $package"
done
if [ -z "$packages" ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "install-peers.sh: missing:$packages; installing needs root and apt-get" >&2
  exit 69
fi

# Debian starts a service when its package is installed, unless this file says no. One that is there already
# is the machine owner's decision and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

apt-get update -qq
# shellcheck disable=SC2086 # package names hold no spaces, and each is an argument of its own
apt-get install -y -qq --no-install-recommends $packages
