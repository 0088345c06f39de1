#!/bin/bash
# Puts the clients that the tests know into target/tools/: Python's kubernetes, Node's @kubernetes/client-node, and a program
# written with Rust's kube crate: clients.sh [python] [node] [kube], without words all of them. One that cannot be had is named
# in target/tools/missing-clients, and its test says so.
set -euo pipefail
cd "$(dirname "$0")/.."

python_client=kubernetes==36.0.3
node_client=@kubernetes/client-node@1.4.0

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target/tools
missing=$tools/missing-clients
mkdir -p "$tools"
touch "$missing"

# lacks <name> <why>: goes on without a client.
lacks() {
  echo "$1: $2" >>"$missing"
  echo "The tests go without $1: $2." >&2
}

python() {
  local home=$tools/python
  [ "$(cat "$home/version" 2>/dev/null)" = "$python_client" ] && return
  rm -rf "$home"
  python3 -m venv "$home" || { lacks python "python3 cannot make a virtual environment"; return; }
  "$home/bin/pip" install --quiet --disable-pip-version-check "$python_client" || { lacks python "pip could not install $python_client"; return; }
  echo "$python_client" >"$home/version"
}

node() {
  local home=$tools/node
  [ "$(cat "$home/version" 2>/dev/null)" = "$node_client" ] && return
  rm -rf "$home"
  mkdir -p "$home"
  npm install --prefix "$home" --no-audit --no-fund --silent "$node_client" || { lacks node "npm could not install $node_client"; return; }
  echo "$node_client" >"$home/version"
}

# A package and a target folder of its own, so that builds of the server neither wait for it nor build anything anew because of it.
kube() {
  local package=tests/clients/kube/Cargo.toml
  # A failed build is a fault of ours unless the registry is out of reach.
  if ! cargo fetch --locked --quiet --manifest-path "$package"; then
    lacks kube "cargo could not fetch the kube crate"
    return
  fi
  CARGO_TARGET_DIR=$target/kube-client cargo build --locked --quiet --manifest-path "$package"
  ln -sf ../kube-client/debug/kube-client-scenes "$tools/kube-client-scenes"
}

[ $# -gt 0 ] || set -- python node kube
for client; do
  sed -i "/^$client: /d" "$missing"
  case $client in
    python | node | kube) "$client" ;;
    *) echo "$client is none of python, node, kube" >&2; exit 2 ;;
  esac
done
