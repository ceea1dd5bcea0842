"""The ways to speak to proxy and stack, and how each proxy is told of them."""

import dataclasses
import subprocess

_TLS_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_HTTP2_TYPE = "type.googleapis.com/envoy.extensions.upstreams.http.v3"
_ENVOY_HTTP2 = (
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
    f'{{"@type": {_HTTP2_TYPE}.HttpProtocolOptions, explicit_http_config: {{http2_protocol_options: {{}}}}}}}}'
)
_ENVOY_SERVES_TLS = (
    f'transport_socket: {{name: tls, typed_config: {{"@type": {_TLS_TYPE}.DownstreamTlsContext, common_tls_context: '
    "{tls_certificates: [{certificate_chain: {filename: SCRATCH/cert.pem}, private_key: {filename: SCRATCH/key.pem}}]}}}"
)
_ENVOY_CALLS_TLS = f'transport_socket: {{name: tls, typed_config: {{"@type": {_TLS_TYPE}.UpstreamTlsContext}}}}'


@dataclasses.dataclass(frozen=True)
class Way:
    """One protocol, on both sides of a proxy."""

    scheme: str
    # Of h2load.
    load: tuple
    connections: int
    # What stands for the words in the configuration of each proxy.
    words: dict


_PLAIN = {
    "SSL": "", "BIND": "", "SERVER": "", "DOWNSTREAM": "", "UPSTREAM": "", "TLS": "null", "STACK": "", "SCHEME": "http",
}
_TLS = {
    "SSL": "ssl", "BIND": "ssl crt SCRATCH/both.pem", "SERVER": "ssl verify none", "SCHEME": "https",
    "DOWNSTREAM": _ENVOY_SERVES_TLS, "UPSTREAM": _ENVOY_CALLS_TLS,
    "TLS": "{cert: SCRATCH/cert.pem, key: SCRATCH/key.pem}", "STACK": "tls: {ca: SCRATCH/cert.pem}",
}
_HTTP2 = {**_PLAIN, "BIND": "proto h2", "SERVER": "proto h2", "UPSTREAM": _ENVOY_HTTP2, "STACK": "http2: true"}
_STREAMS = ("-m32",)
_MESSAGE = ("-d", "SCRATCH/message", "-Hcontent-type: application/grpc", "-Hte: trailers")

WAYS = {
    "h1": Way("http", ("--h1",), 32, _PLAIN),
    "tls": Way("https", ("--h1",), 32, _TLS),
    "h2": Way("http", _STREAMS, 4, _HTTP2),
    "grpc": Way("http", (*_STREAMS, *_MESSAGE), 4, _HTTP2),
}


def write_certificate(scratch):
    """A key and a certificate for 127.0.0.1, each in a file, and both in one."""
    if (scratch / "both.pem").exists():
        return
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "30", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-keyout", scratch / "key.pem", "-out", scratch / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    both = [(scratch / name).read_text() for name in ("cert.pem", "key.pem")]
    (scratch / "both.pem").write_text("".join(both))
