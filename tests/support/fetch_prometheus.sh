#!/usr/bin/env bash
# Debian's Prometheus for the tests, unless this machine has one: unpacked below .cache/prometheus, nothing of the system changes.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
  folder=.cache/prometheus
  if ! [ -x "$folder/usr/bin/prometheus" ]; then
    apt-get update -q >/dev/null
    rm -rf "$folder" && mkdir -p "$folder/deb"
    (cd "$folder/deb" && apt-get download -q -o APT::Sandbox::User=root prometheus >/dev/null)
    dpkg -x "$folder"/deb/prometheus_*.deb "$folder"
    rm -rf "$folder/deb"
  fi
  PATH="$PWD/$folder/usr/bin:$PATH"
fi
prometheus --version 2>&1 | sed -n 1p
