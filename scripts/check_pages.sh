#!/bin/sh
# Runs every ```python and ```sh block of the "Bring your model" pages, in order, in a temporary folder beside a link to data-samples.
#
#   PATH=$PWD/target/release:$PATH scripts/check_pages.sh                       # all of crates/model/docs
#   TAMIS_VENV=/path/to/venv scripts/check_pages.sh crates/model/docs/keras.md  # one, with the packages of this environment
#
# The python blocks of a page run in one session, as in a notebook; every sh block is a shell of its own. `tamis` must be on the PATH. Without
# TAMIS_VENV an environment with scripts/requirements-models.txt is made and thrown away: a download of some gigabytes.
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
if ! command -v tamis >/dev/null; then
    echo "check_pages: there is no tamis on the PATH; cargo build --release, then PATH=\$PWD/target/release:\$PATH" >&2
    exit 69
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/tamis-pages.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

venv=${TAMIS_VENV:-$work/venv}
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet -r "$repository/scripts/requirements-models.txt"
fi

cat >"$work/run.py" <<'EOF'
"""Runs the blocks of one page in the working directory."""

import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

page = Path(sys.argv[1])
blocks = [
    (match[1], match[2], page.read_text().count("\n", 0, match.start()) + 2)
    for match in re.finditer(r"^```(python|sh)\n(.*?)^```$", page.read_text(), re.M | re.S)
]
session = {"__name__": "__main__"}
if not blocks:
    sys.exit(f"{page.name}: no ```python or ```sh block")
for kind, text, line in blocks:
    begin = time.monotonic()
    failed = False
    if kind == "sh":
        failed = subprocess.run(["sh", "-eu", "-c", text], check=False).returncode != 0
    else:
        try:
            # The name and the empty lines give tracebacks the lines of the page.
            exec(compile("\n" * (line - 1) + text, str(page), "exec"), session)
        except Exception:
            traceback.print_exc()
            failed = True
    sys.stdout.flush()
    print(f"-- {page.name}:{line} {kind}, {time.monotonic() - begin:.1f} s", flush=True)
    if failed:
        sys.exit(f"{page.name}:{line}: this block failed")
EOF

[ $# -gt 0 ] || set -- "$repository"/crates/model/docs/*.md
failed=""
for page in "$@"; do
    name=$(basename "$page" .md)
    page=$(cd "$(dirname "$page")" && pwd)/$name.md
    mkdir "$work/$name"
    ln -s "$repository/data-samples" "$work/$name/data-samples"
    (cd "$work/$name" && PATH=$venv/bin:$PATH "$venv/bin/python" "$work/run.py" "$page") || failed="$failed $name"
done
if [ -n "$failed" ]; then
    echo "check_pages: failed:$failed" >&2
    exit 1
fi
echo "check_pages: all blocks of $# pages run"
