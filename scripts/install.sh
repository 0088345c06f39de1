#!/bin/bash
# Installs what is missing on a Debian or Ubuntu machine, and nothing else: install.sh [build] [run] [test]
set -euo pipefail

missing=()

# need <package> <test command...>: notes the package when the test fails.
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

# A program is there, wherever administrators keep theirs.
has() {
  PATH=$PATH:/usr/sbin:/sbin command -v "$1"
}

static_busybox() {
  # A dynamically linked one would not run in an image of its own.
  [ -x /bin/busybox ] && ! ldd /bin/busybox
}

build() {
  need gcc has cc
  need libc6-dev test -e /usr/include/stdlib.h
  need mold has mold
  need pkg-config has pkg-config
  need libseccomp-dev pkg-config --exists libseccomp
  if ! has cargo >/dev/null; then
    echo "Rust is missing: install it from https://rustup.rs (this package needs $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later)," >&2
    echo "and make sure that \`cargo\` is on the PATH of $(id -un)." >&2
    exit 1
  fi
}

run() {
  need nftables has nft
  need iproute2 has ip
}

tests() {
  need busybox-static static_busybox
  need docker-registry has docker-registry
  need skopeo has skopeo
  need chromium has chromium
  need curl has curl
  need unzip has unzip
  need util-linux has nsenter
  need iputils-ping has ping
  need python3-pip python3 -m pip --version
  if [ "$(id -u)" != 0 ]; then
    echo "The tests start containers and networks: run them as root." >&2
    exit 1
  fi
}

cd "$(dirname "$0")/.."
for group in "$@"; do
  case $group in
    build) build ;;
    run) run ;;
    test) tests ;;
    *) echo "install.sh: unknown group $group (build, run, test)" >&2; exit 2 ;;
  esac
done

[ ${#missing[@]} = 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "Please install these (Debian's names) with your package manager: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Some packages are missing. As root, run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install=(apt-get install -y -q --no-install-recommends "${missing[@]}")
# The package lists may be absent or old: try with what is there, then with fresh ones.
"${as_root[@]}" "${install[@]}" >/dev/null 2>&1 || { "${as_root[@]}" apt-get update -q >/dev/null; "${as_root[@]}" "${install[@]}"; }
