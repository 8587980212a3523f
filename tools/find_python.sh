#!/bin/sh
# Prints the newest Python from version $1 to version $2, such as 3.11 3.13, that runs here.
# Tries $PYTHON alone where it is set; else what is on the PATH, and the versions of pyenv and uv. A name on the
# PATH may be there without working, so each is run. Exit status 2 and one line where none fits.

fits() { # fits PYTHON FIRST LAST; the tested packages have wheels for CPython with its lock alone
  "$1" -c 'import sys, sysconfig
first, last = ([int(part) for part in version.split(".")] for version in sys.argv[1:])
fits = first <= list(sys.version_info[:2]) <= last and sys.implementation.name == "cpython"
sys.exit(not fits or bool(sysconfig.get_config_var("Py_GIL_DISABLED")))' "$2" "$3" 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
  if fits "$PYTHON" "$1" "$2"; then echo "$PYTHON"; exit 0; fi
  echo "error: PYTHON=$PYTHON is no Python from $1 to $2 that runs: name another one, or none" >&2
  exit 2
fi
minor=${2#3.}
while [ "$minor" -ge "${1#3.}" ]; do
  version=3.$minor
  for candidate in "python$version" python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python \
    "$(uv python find --system --no-python-downloads "$version" 2>/dev/null)"; do
    if fits "$candidate" "$version" "$version"; then echo "$candidate"; exit 0; fi
  done
  minor=$((minor - 1))
done
echo "error: no Python from $1 to $2 found: install one, or say make PYTHON=/path/to/python3.x" >&2
exit 2
