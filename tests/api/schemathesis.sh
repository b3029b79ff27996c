#!/usr/bin/env bash
# Makes requests of the API's OpenAPI document, right ones and wrong ones, and checks that each is answered as documented.
# Usage: tests/api/schemathesis.sh [how many of each operation (default: 200)]
# Needs Python 3 with venv (Debian: python3-venv), and downloads schemathesis from PyPI. `./test` does not run it.
set -euo pipefail
cd "$(dirname "$0")/../.."

each=${1:-200}
port=${PORT:-4590}
here=$PWD/tests/api
work=$PWD/target/schemathesis
venv=${VENV:-$work/venv}
key=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')

if ! [ -x "$venv/bin/schemathesis" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet 'schemathesis>=4,<5'
fi

# The features of `./test`, so that nothing is built twice.
cargo build --workspace --all-features --locked --example http_api
API_KEY=$key ADDRESS=127.0.0.1:$port target/debug/examples/http_api &
server=$!
trap 'kill $server' EXIT

# It writes files where it runs.
mkdir -p "$work"
cd "$work"
"$venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run "http://127.0.0.1:$port/api/v1/openapi.json" \
    --url "http://127.0.0.1:$port/api/v1" --wait-for-schema 30 --max-examples "$each" --continue-on-failure \
    --header "Authorization: Bearer $key" --checks all
