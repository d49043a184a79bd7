#!/bin/sh
# Makes node-hashring.txt from the published package. Needs npm and tar.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cd "$scratch"
npm pack --silent hashring@3.2.0
tar xzf hashring-3.2.0.tgz
head -n 2000 package/tests/fixtures/ketama.txt > "$here/node-hashring.txt"
