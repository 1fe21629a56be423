#!/usr/bin/env bash
# Runs every fuzz target for the given time, 3s by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
time=${1:-3s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# At the end of its time go test can report its own deadline as a failure, without any input that fails. Then, and only
# then, the target is run again.
fuzz() {
  for _ in 1 2 3; do
    go -C "$2" test -run '^$' -fuzz "^$1\$" -fuzztime "$time" -fuzzminimizetime 10x . 2>&1 | tee "$log" && return 0
    grep -q '^ *context deadline exceeded$' "$log" || return 1
    ! grep -q 'Failing input' "$log" || return 1
    echo "== again: go test ran into its own deadline"
  done
  return 1
}

grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' --with-filename . | sort -u | while IFS=: read -r file target; do
  target=${target#func }
  echo "== fuzz $(dirname "$file") $target"
  fuzz "$target" "$(dirname "$file")" </dev/null
done
