#!/usr/bin/env bash
# Tests the Gin adapter with another version of Gin than go.mod asks for, without changing go.mod.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp go.mod "$dir/gin.mod" && cp go.sum "$dir/gin.sum"
go get -modfile="$dir/gin.mod" "github.com/gin-gonic/gin@$1"
go test -modfile="$dir/gin.mod" ./ginadapter/...
