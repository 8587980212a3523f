#!/bin/sh
# Installs the tested versions into a virtual environment: setup.sh FOLDER export|train|test. Quick where they are
# there. uv does it where it can be had, in a fraction of pip's time; else pip.
set -eu
folder=$1 what=$2
uv_version=0.13.9 oldest=3.11 newest=3.13
case $what in # a larger set serves whoever asks for a smaller one
  export) extras=onnx,export stamps="export train test" ;;
  train) extras=onnx,export,train stamps="train test" ;;
  test) extras=onnx,export,train,cluster,dev stamps="test" ;;
  *) echo "error: '$what' is none of export, train, test" >&2; exit 2 ;;
esac
here=$(dirname "$0") own=$folder/bin/python
state=$(cat pyproject.toml constraints.txt | cksum)

fits() { # the Python that is there can be used, and is the one that was asked for, if one was
  PYTHON=$own sh "$here/find_python.sh" "$oldest" "$newest" >/dev/null 2>&1 &&
    { [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -V 2>&1)" = "$("$own" -V)" ]; }
}

make_environment() {
  python=$(sh "$here/find_python.sh" "$oldest" "$newest") || exit 2
  rm -rf "$folder"
  "$python" -m venv "$folder" >/dev/null 2>&1 && return
  rm -rf "$folder" # Debian's Python has no pip to put there until python3-venv is installed
  uv venv --quiet --seed --python "$python" "$folder" 2>/dev/null && return
  rm -rf "$folder"
  echo "error: $python cannot make virtual environments: install its venv package (Debian: python3-venv), or uv" >&2
  exit 2
}

# uv does not read pip's settings: it is told the package indexes and certificates that pip would use, and to look
# through all indexes, as pip does.
as_pip() {
  settings=$("$own" -m pip config list)
  setting() {
    for section in :env: install global; do
      printf '%s\n' "$settings" | sed -n "s/^$section\.$1='\(.*\)'\$/\1/p" | sed 's/\\n/ /g; s/^ *//'
    done | head -n 1
  }
  tell() { [ -z "$2" ] || eval "export $1=\"\${$1:-\$2}\""; }
  tell UV_DEFAULT_INDEX "$(setting index-url)"
  tell UV_INDEX "$(setting extra-index-url)"
  tell UV_FIND_LINKS "$(setting find-links | tr -s ' ' ,)"
  tell UV_INSECURE_HOST "$(setting trusted-host)"
  tell SSL_CERT_FILE "$(setting cert)"
  export UV_INDEX_STRATEGY=unsafe-best-match
}

if fits; then
  for stamp in $stamps; do
    if [ "$(cat "$folder/.installed-$stamp" 2>/dev/null)" = "$state" ]; then exit 0; fi
  done
fi
if ! fits || ! "$own" -m pip --version >/dev/null 2>&1; then make_environment; fi
echo "installing the tested versions for '$what' into $folder with $("$own" -V): up to 7 GB, some minutes, once"
export TMPDIR="$PWD/$folder/tmp" # uv leaves locks there
mkdir -p "$TMPDIR"
uv=$(command -v uv || true)
if [ -z "$uv" ] && "$own" -m pip install --quiet --disable-pip-version-check "uv==$uv_version" 2>/dev/null; then
  uv=$folder/bin/uv
fi
set -- pip install --constraint constraints.txt --editable ".[$extras]"
if [ -z "$uv" ] || ! (as_pip && "$uv" "$@" --python "$own"); then
  [ -z "$uv" ] || echo "uv could not install them; trying pip" >&2
  "$own" -m "$@"
fi
# pip compiles what it installs; uv does not, and Python from 3.12 on would warn of torchao's code at first use.
"$own" -W ignore -m compileall -qq "$folder"/lib/python3.*/site-packages/torchao || :
rm -rf "$TMPDIR"
echo "$state" >"$folder/.installed-$what"
