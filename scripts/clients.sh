#!/bin/bash
# Puts the clients that the tests know into target/tools/: Python's kubernetes and Node's @kubernetes/client-node:
# clients.sh [python] [node], without words both. One that cannot be had is named in target/tools/missing-clients, and its test
# says so.
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

[ $# -gt 0 ] || set -- python node
for client; do
  sed -i "/^$client: /d" "$missing"
  case $client in
    python | node) "$client" ;;
    *) echo "$client is none of python, node" >&2; exit 2 ;;
  esac
done
