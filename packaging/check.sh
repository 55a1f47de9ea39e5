#!/usr/bin/env bash
# Builds the source distribution and, out of it, the wheel; looks at what is in them; installs the wheel where nothing else is, and
# runs it there. What was built stays in dist/.
#   packaging/check.sh PYTHON      the path of a Python that has the package `build`
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")  # it is used in another folder, too

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "packages: $*" >&2
    exit 1
}

# What lies in a folder `build` or in the list of an earlier build would get into this one.
rm -rf build dist haproxy_telemetry.egg-info/SOURCES.txt
"$python" -m build --outdir dist . >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "can't be built"; }

# The sources: all that is in these folders, and what setuptools adds.
tar --list --file dist/*.tar.gz | sed 's,^[^/]*/,,' | grep -v -e '/$' -e '^$' | LC_ALL=C sort >"$scratch/sdist"
{
    find agent/haproxy_telemetry_agent operator/haproxy_telemetry_operator docs packaging/systemd -type f ! -path '*/__pycache__/*'
    printf '%s\n' CHANGELOG.md LICENSE MANIFEST.in README.md pyproject.toml PKG-INFO setup.cfg
    printf 'haproxy_telemetry.egg-info/%s\n' PKG-INFO SOURCES.txt dependency_links.txt entry_points.txt requires.txt top_level.txt
} | LC_ALL=C sort >"$scratch/expected"
diff "$scratch/expected" "$scratch/sdist" || fail "the source distribution has other files (>) than expected (<)"

# The wheel: both packages, py.typed with them, and its metadata.
"$python" -c 'import glob, zipfile; print(*zipfile.ZipFile(*glob.glob("dist/*.whl")).namelist(), sep="\n")' |
    grep -v '\.dist-info/' | LC_ALL=C sort >"$scratch/wheel"
for program in agent operator; do
    (cd "$program" && find "haproxy_telemetry_$program" -type f ! -path '*/__pycache__/*')
done | LC_ALL=C sort >"$scratch/expected"
diff "$scratch/expected" "$scratch/wheel" || fail "the wheel has other files (>) than expected (<)"
for program in agent operator; do
    grep -qx "haproxy_telemetry_$program/py.typed" "$scratch/wheel" || fail "py.typed of the $program is not in the wheel"
done

# As a user has it: no source tree, no environment, another folder.
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$(echo "$PWD"/dist/*.whl)[agent]"
"$scratch/venv/bin/python" -m pip check --disable-pip-version-check
cd "$scratch"
agent() { env -i PATH=/usr/bin:/bin PYTHONWARNINGS=error "$scratch/venv/bin/haproxy-telemetry-agent" "$@"; }
agent version
echo 'profile: Full' >settings.yaml
agent check-config --config settings.yaml | grep -q '^profile' || fail "check-config does not say what is set"
agent schema | "$python" -m json.tool >/dev/null
agent attributes | grep -q 'http.request.method' || fail "there is no reference of attributes"
agent config | grep -q '^spoe-agent haproxy-telemetry' || fail "config prints no spoe-agent"
for section in spoe frontend tcp-frontend sections; do
    [ -n "$(agent config --section "$section")" ] || fail "config --section $section prints nothing"
done
# What an init container in the agent's image runs.
operator() { env -i PATH=/usr/bin:/bin PYTHONWARNINGS=error "$scratch/venv/bin/haproxy-telemetry-operator" "$@"; }
operator version
mkdir source
echo global >source/haproxy.cfg
operator rewrite --plan none --mount /etc/haproxy "$scratch/source" "$scratch/volume" --file /etc/haproxy/haproxy.cfg | grep -q PlanMissing ||
    fail "rewrite does not say that there is no plan"
cmp source/haproxy.cfg volume/haproxy.cfg
echo "packages: $(cd "$OLDPWD" && echo dist/*)"
