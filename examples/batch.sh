#!/bin/sh
# A folder of loops into a folder of stems, from a script: resumable, one JSON line per loop, and an
# exit code that tells whether all went well.
#
# examples/batch.sh loops/ stems/
set -u
drumsep separate "$1" --out "$2" --jobs 2 --resume --quiet --json > results.jsonl
code=$?
grep -c '"status": "done"' results.jsonl || true
exit $code
