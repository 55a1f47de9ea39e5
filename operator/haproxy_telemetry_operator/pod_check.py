"""The check: HAProxy itself looks at its rewritten configuration, in an init container of its own image. Pure text.

The image's own binary, modules, files and environment decide. If it refuses what was rewritten, the user's files are put back, so
whatever HAProxy does next is what it would have done without us. The script needs a POSIX shell and ``cat``, and may run as any uid
on a read-only root: it writes nowhere but to the volumes with the copies and to the pod's termination message.

HAProxy's command is given as arguments of the shell, never as text of the script: whatever Kubernetes makes of a ``$(NAME)`` in it
stays one word. In the script itself there are no variables that Kubernetes knows, and no two dollar signs, which it makes one.
"""

import shlex
from collections.abc import Sequence

__all__ = ["ORIGINALS_FOLDER", "REWRITTEN_LIST", "STATE_FOLDER", "VERDICT_FILE", "check_command", "check_script"]

STATE_FOLDER = ".haproxy-telemetry"
"""In a volume with copies. HAProxy passes over names that begin with a dot where it reads folders."""
REWRITTEN_LIST = "rewritten"
"""In the state folder: the files that were rewritten, relative to the volume, one a line."""
ORIGINALS_FOLDER = "originals"
"""In the state folder: what these were before, by their number in the list, from 0."""
VERDICT_FILE = "refused"
"""In the state folder, once the user's files are back: a code, a sentence, and HAProxy's words."""

_SCRIPT = """\
umask 022
program=$1
shift

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

words=$("$program" -c "$@" 2>&1)
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
before=$("$program" -c "$@" 2>&1)
if [ "$?" -eq 0 ]; then
    conclude Refused 'HAProxy refuses the rewritten configuration, so every file is as it was; please report it.' "$words"
else
    conclude InvalidBefore 'HAProxy refuses this configuration as it was before, too; every file is as it was.' "$before"
fi
exit 0
"""
_LIMIT_BYTES = 3000
"""Kubernetes keeps 4,096 bytes of a termination message."""


def check_script(destinations: Sequence[str], *, message_path: str = "/dev/termination-log") -> str:
    """The script, for ``sh -c``; its arguments are HAProxy's binary and what it is given beside ``-c``.

    ``destinations`` are the folders where the volumes with the copies are mounted, writable. It always ends with 0.
    """
    return _SCRIPT.format(
        volumes=" ".join(map(shlex.quote, destinations)),
        state=STATE_FOLDER,
        rewritten=REWRITTEN_LIST,
        originals=ORIGINALS_FOLDER,
        verdict=VERDICT_FILE,
        limit=_LIMIT_BYTES,
        message=shlex.quote(message_path),
    )


def check_command(
    destinations: Sequence[str], arguments: Sequence[str], *, program: str = "haproxy", message_path: str = "/dev/termination-log"
) -> list[str]:
    """The command of the init container; ``arguments`` are HAProxy's, at least each ``-f`` and its path."""
    script = check_script(destinations, message_path=message_path)
    return ["/bin/sh", "-c", script, "haproxy-telemetry-check", program, *arguments]
