#!/usr/bin/env bash
# The HAProxy versions that the tests are to see beside PyPI's 2.8: Debian's 2.6 (bookworm), 3.0 (trixie) and 3.2 (sid).
#
# This machine's own comes from its package manager; the others are unpacked below .cache/haproxy and change nothing of the system.
# Debian's stable suites must be there; sid moves daily, and is only said to be missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! [ -x /usr/sbin/haproxy ]; then
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends haproxy >/dev/null
fi
/usr/sbin/haproxy -v | sed -n 1p
tests/support/fetch_haproxy.sh trixie .cache/haproxy/trixie
tests/support/fetch_haproxy.sh sid .cache/haproxy/sid || echo "no HAProxy from sid today: the tests go without it" >&2
