#!/usr/bin/env bash
# Debian's Chromium for the tests, unless this machine has one: a browser has too many libraries to be unpacked beside the system's.
set -euo pipefail

if ! command -v chromium >/dev/null; then
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi
chromium --version 2>/dev/null
