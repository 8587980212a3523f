#!/bin/sh
# Prints the newest Python from version $1 to version $2, such as 3.11 3.13, that runs here.
# Tries $PYTHON alone where it is set; else what is on the PATH, and pyenv's versions, whose names on the PATH may
# be there without working. Exit status 2 and one line where there is none.
oldest=$1 newest=$2

fits() {
  "$1" -c 'import sys
first, last = ([int(part) for part in version.split(".")] for version in sys.argv[1:])
sys.exit(not first <= list(sys.version_info[:2]) <= last)' "$oldest" "$newest" 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
  if fits "$PYTHON"; then echo "$PYTHON"; exit 0; fi
  echo "error: PYTHON=$PYTHON is no Python from $oldest to $newest that runs: name another one, or none" >&2
  exit 2
fi
minor=${newest#3.}
while [ "$minor" -ge "${oldest#3.}" ]; do
  for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python; do
    if fits "$candidate"; then echo "$candidate"; exit 0; fi
  done
  minor=$((minor - 1))
done
for candidate in python3 python; do
  if fits "$candidate"; then echo "$candidate"; exit 0; fi
done
echo "error: no Python from $oldest to $newest found: install one, or say make PYTHON=/path/to/python3.x" >&2
exit 2
