#!/bin/sh
# Installs the tested versions into a virtual environment: setup.sh FOLDER export|train|test.
# uv does it where it can be had, in a fraction of pip's time; else pip.
set -eu
folder=$1 what=$2
uv_version=0.13.9
case $what in
  export) extras=onnx,export ;;
  train) extras=onnx,export,train ;;
  test) extras=onnx,export,train,cluster,dev ;;
  *) echo "error: '$what' is none of export, train, test" >&2; exit 2 ;;
esac
here=$(dirname "$0")
oldest=3.11 newest=3.13

# An environment that is there is kept where its Python fits and is the one that was asked for.
own=$folder/bin/python
if ! PYTHON="$own" sh "$here/find_python.sh" "$oldest" "$newest" >/dev/null 2>&1 ||
  { [ -n "${PYTHON:-}" ] && [ "$("$PYTHON" -V 2>&1)" != "$("$own" -V)" ]; }; then
  python=$(sh "$here/find_python.sh" "$oldest" "$newest")
  rm -rf "$folder"
  if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
    rm -rf "$folder"
    if ! command -v uv >/dev/null || ! uv venv --quiet --seed --python "$python" "$folder"; then
      echo "error: $python cannot make virtual environments: install its venv package (Debian: python3-venv), or uv" >&2
      exit 2
    fi
  fi
fi
echo "installing the tested versions for '$what' into $folder with $("$own" -V): up to 7 GB, some minutes, once"

uv=$(command -v uv || true)
if [ -z "$uv" ] && "$own" -m pip install --quiet "uv==$uv_version" 2>/dev/null; then
  uv=$folder/bin/uv
fi
if [ -n "$uv" ]; then
  # uv does not read pip's settings: it is told the package index and the certificates that pip would use.
  setting() { "$own" -m pip config get "$1" 2>/dev/null || "$own" -m pip config get "$2" 2>/dev/null || true; }
  index=$(setting :env:.index-url global.index-url)
  more=$(setting :env:.extra-index-url global.extra-index-url)
  certificates=$(setting :env:.cert global.cert)
  [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
  [ -z "$more" ] || export UV_INDEX="${UV_INDEX:-$more}"
  [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
  if "$uv" pip install --python "$own" --constraint constraints.txt --editable ".[$extras]"; then
    exit 0
  fi
  echo "uv could not install them; trying pip" >&2
fi
"$own" -m pip install --constraint constraints.txt --editable ".[$extras]"
