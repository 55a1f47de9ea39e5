#!/usr/bin/env bash
# Runs each target, or those that are named, for some seconds; stops at the first that finds something.
#   tests/fuzz/run.sh FOLDER SECONDS [TARGET...]      FOLDER has venv/, and gets the growing corpora and what was found
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1 seconds=$2
shift 2
export PYTHONPATH=tests PYTHONSAFEPATH=1
python=$folder/venv/bin/python
mkdir -p "$folder/found"
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046
    set -- $("$python" -m fuzz 2>/dev/null)
fi

for target in "$@"; do
    mkdir -p "$folder/corpus/$target"
    echo "== $target, $seconds s"
    set +e
    "$python" -m fuzz "$target" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=2048 -verbosity=0 -print_final_stats=1 \
        "-artifact_prefix=$folder/found/$target-" "$folder/corpus/$target" "tests/fuzz/corpus/$target" 2>&1 |
        grep -v -e '^INFO: ' -e '^WARNING: Failed to find' -e '^stat::[^np]' -e '^###' -e '^"' -e '^$'
    status=${PIPESTATUS[0]}
    set -e
    if [ "$status" -ne 0 ]; then
        echo "found something: see $folder/found/; a copy belongs into tests/fuzz/corpus/$target/, where the suite runs it" >&2
        exit 1
    fi
done
