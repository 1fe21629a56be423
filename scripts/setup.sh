#!/usr/bin/env bash
# Installs what the tests need besides Go, where it is missing (Debian, as root): make, a C compiler for the race detector,
# and the PostgreSQL server that the tests of riverqueue start and stop by themselves. With the argument chromium: that browser,
# which the tests of the status page use.
set -euo pipefail
packages=()
command -v make >/dev/null || packages+=(make)
if [ "${1:-}" = chromium ] && [ -z "${FPROM_CHROMIUM:-}" ] && ! command -v chromium chromium-browser google-chrome >/dev/null; then
  packages+=(chromium fonts-dejavu-core)
fi
# gcc alone is not enough: without the packages that it recommends it has no headers of the C library.
echo '#include <stdlib.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 || packages+=(gcc libc6-dev)
if [ -z "${FPROM_TEST_POSTGRES:-}" ] && ! command -v initdb >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  packages+=(postgresql)
fi
[ ${#packages[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "the tests need: ${packages[*]} (or set FPROM_TEST_POSTGRES to the URL of a PostgreSQL server for tests, FPROM_CHROMIUM to a browser)"
  exit 1
fi
echo "== install ${packages[*]}"
# Debian's package would start a server of its own.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
# A new machine may be busy with its own updates, and a mirror may fail for a moment. The time-out is not one of update.
apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=5)
for ((tries = 1; ; tries++)); do
  "${apt[@]}" update && break
  ((tries < 30)) || exit 1
  sleep 10
done
DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y "${packages[@]}"
