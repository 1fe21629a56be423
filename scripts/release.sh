#!/usr/bin/env bash
# Makes the commit and the tags of a release, and pushes nothing: scripts/release.sh v0.2.0
#
# The modules below the root find each other by a replace line. Users do not get these lines, and "go install" refuses a module that
# has one. So the release is a commit beside main, without the lines and with the version of the release required.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=${1:?"the version is missing: scripts/release.sh v0.2.0"}
root=github.com/fprom-go/fprom
modules=(echoadapter echov5adapter fiberadapter otelfprom promfprom riverqueue cmd/fprom) # those that users import or install
fail() { echo "release: $1" >&2; exit 1; }
[[ $version == v[0-9]*.[0-9]*.[0-9]* ]] || fail "$version is no version: write it as v0.2.0"
[ "$(git branch --show-current)" = main ] || fail "the clone is not on main: git switch main"
[ -z "$(git status --porcelain)" ] || fail "the clone has changes: commit them first"
grep -q "^const Version = \"${version#v}\"\$" client.go || fail "Version in client.go is not ${version#v}: change it first, in a commit of its own"
grep -qF "## [${version#v}]" CHANGELOG.md || fail "CHANGELOG.md has no heading [${version#v}]: rename Unreleased first"
[ -z "$(git tag --list "$version" "*/$version")" ] || fail "there are tags of $version already: if they were pushed, take the next version; if not, delete them: git tag --delete \$(git tag --list $version '*/$version')"
git switch --quiet --detach
trap 'git switch --quiet --force main' EXIT
for m in "${modules[@]}"; do
	for other in "$root" "$root/riverqueue"; do
		if grep -q "$other v0.0.0" "$m/go.mod"; then
			go -C "$m" mod edit -dropreplace="$other" -require="$other@$version"
		fi
	done
done
git commit --quiet --message "Release $version" -- "${modules[@]/%//go.mod}"
tags=("$version" "${modules[@]/%//$version}")
for tag in "${tags[@]}"; do git tag "$tag"; done
echo "look at it with: git show $version"
echo "publish it with: git push origin ${tags[*]}"
