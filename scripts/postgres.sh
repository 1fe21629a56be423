#!/usr/bin/env bash
# Makes sure that a PostgreSQL server can be started by the tests of riverqueue, which start and stop their own.
set -euo pipefail
[ -z "${FPROM_TEST_POSTGRES:-}" ] || exit 0
command -v initdb >/dev/null && exit 0
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && exit 0
echo "== install PostgreSQL"
[ "$(id -u)" = 0 ] || { echo "the tests of riverqueue need a PostgreSQL server: install the package postgresql, or set FPROM_TEST_POSTGRES"; exit 1; }
# The tests start a server of their own: the package need not.
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql
