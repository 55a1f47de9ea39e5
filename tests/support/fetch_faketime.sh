#!/usr/bin/env bash
# Debian's libfaketime for the tests, unless this machine has it: unpacked below .cache/faketime, nothing of the system changes.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=.cache/faketime
if ! compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null && ! compgen -G "$folder/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null; then
  apt-get update -q >/dev/null
  rm -rf "$folder" && mkdir -p "$folder/deb"
  (cd "$folder/deb" && apt-get download -q -o APT::Sandbox::User=root libfaketime >/dev/null)
  dpkg -x "$folder"/deb/libfaketime_*.deb "$folder"
  rm -rf "$folder/deb"
fi
compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" || compgen -G "$folder/usr/lib/*/faketime/libfaketimeMT.so.1"
