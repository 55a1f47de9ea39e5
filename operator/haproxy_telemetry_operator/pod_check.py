"""The check: HAProxy itself looks at its rewritten configuration, in an init container of its own image. Pure text.

The image's own binary, modules, files and environment decide. If it refuses what was rewritten, the user's files are put back, so
whatever HAProxy does next is what it would have done without us. The script needs a POSIX shell and ``cat``, and may run as any uid
on a read-only root: it writes nowhere but to the volumes with the copies and to the pod's termination message.

Kubernetes reads the script, too: it replaces ``$(NAME)`` where it knows such a variable, and makes one of two dollar signs. There
are none of these in it, unless they are in the paths, where they mean what they mean in HAProxy's own arguments.
"""

import shlex
from collections.abc import Sequence

__all__ = ["ORIGINALS_FOLDER", "REWRITTEN_LIST", "STATE_FOLDER", "VERDICT_FILE", "check_script"]

STATE_FOLDER = "state"
"""In a volume of ours, beside what HAProxy sees of it."""
REWRITTEN_LIST = "rewritten"
"""In the state folder: the files that were rewritten, relative to the volume, one a line."""
ORIGINALS_FOLDER = "originals"
"""In the state folder: what these were before, by their number in the list, from 0."""
VERDICT_FILE = "refused"
"""In the state folder, once the user's files are back: a code, a sentence, and HAProxy's words."""

_SCRIPT = """\
umask 022

say() {{
    printf 'haproxy-telemetry: %s\\n' "$1" >&2
}}

# Whether anything was rewritten; and where a verdict is kept.
first=
for volume in {volumes}; do
    [ -f "$volume/{state}/{rewritten}" ] && [ -z "$first" ] && first=$volume/{state}
done
if [ -z "$first" ]; then
    say 'nothing was rewritten, so there is nothing to check'
    exit 0
fi

put_back() {{
    for volume in {volumes}; do
        [ -f "$volume/{state}/{rewritten}" ] || continue
        number=0
        while IFS= read -r name; do
            original=$volume/{state}/{originals}/$number
            # In place, for a single file is a mount of its own; as a new file where its mode forbids that.
            if ! cat "$original" >"$volume/$name" && ! {{ rm -f "$volume/$name" && cat "$original" >"$volume/$name"; }}; then
                say "$volume/$name could not be put back"
            fi
            number=$((number + 1))
        done <"$volume/{state}/{rewritten}"
    done
}}

# Code, sentence, HAProxy's words: in a file, for `kubectl logs`, and for the pod's status.
keep() {{
    printf '%s\\n%s\\n%.{limit}s\\n' "$1" "$2" "$3" 2>/dev/null >"$first/{verdict}" || :
}}

conclude() {{
    keep "$1" "$2" "$3"
    say "$1: $2"
    [ -z "$3" ] || printf '%.{limit}s\\n' "$3" >&2
    if [ -w {message} ]; then
        printf '%s\\n%s\\n%.{limit}s\\n' "$1" "$2" "$3" 2>/dev/null >{message} || :
    fi
}}

if [ -f "$first/{verdict}" ]; then
    # An earlier run was cut off behind its first question.
    put_back
    say 'the files are as they were: an earlier check had refused what was rewritten'
    exit 0
fi

words=$({command} 2>&1)
status=$?
if [ "$status" -eq 0 ]; then
    say 'HAProxy takes the rewritten configuration'
    exit 0
fi
# First the verdict: whoever is cut off from here on goes on with it.
keep Refused 'HAProxy refuses the rewritten configuration; the files are being put back.' "$words"
put_back
if [ "$status" -eq 126 ] || [ "$status" -eq 127 ]; then
    conclude CheckImpossible "HAProxy could not be run for a check, so every file is as it was." "$words"
    exit 0
fi
before=$({command} 2>&1)
if [ "$?" -eq 0 ]; then
    conclude Refused 'HAProxy refuses the rewritten configuration, so every file is as it was; please report it.' "$words"
else
    conclude InvalidBefore 'HAProxy refuses this configuration as it was before, too; every file is as it was.' "$before"
fi
exit 0
"""
_LIMIT_BYTES = 3000
"""Kubernetes keeps 4,096 bytes of a termination message."""


def check_script(*, haproxy: str, paths: Sequence[str], volumes: Sequence[str], message_path: str = "/dev/termination-log") -> str:
    """The script, for ``/bin/sh -c``; it always ends with 0.

    ``haproxy`` is the program, ``paths`` is what it is given with ``-f``, in that order; ``volumes`` are those of ours, whole and
    writable, where they are mounted for the check.
    """
    return _SCRIPT.format(
        command=" ".join(map(shlex.quote, [haproxy, "-c", *(word for path in paths for word in ("-f", path))])),
        volumes=" ".join(map(shlex.quote, volumes)),
        state=STATE_FOLDER,
        rewritten=REWRITTEN_LIST,
        originals=ORIGINALS_FOLDER,
        verdict=VERDICT_FILE,
        limit=_LIMIT_BYTES,
        message=shlex.quote(message_path),
    )
