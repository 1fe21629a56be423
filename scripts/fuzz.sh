#!/usr/bin/env bash
# Runs every fuzz target of the root module for the given time, 5s by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-5s}
grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' --with-filename . | sort -u | while IFS=: read -r file target; do
  target=${target#func }
  echo "== fuzz $(dirname "$file") $target"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$(dirname "$file")"
done
