"""PyPI's `sslyze` on `listen_tls`: no version or cipher suite that is weak, and no finding."""

import contextlib
import http.client
import json
import ssl

from harness import LOCALHOST, Sidecar, certificate, stack

CONFIGURATION = """
listen: LISTEN
admin: ADMIN
listen_tls: {cert: CERT, key: KEY}
old: {url: 'http://127.0.0.1:OLD'}
new: {url: 'http://127.0.0.1:1'}
"""

#: What sslyze says of it.
SAID = """
ssl_2_0_cipher_suites: none
ssl_3_0_cipher_suites: none
tls_1_0_cipher_suites: none
tls_1_1_cipher_suites: none
tls_1_2_cipher_suites: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
tls_1_3_cipher_suites: TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256
tls_compression: {"supports_compression": false}
openssl_ccs_injection: {"is_vulnerable_to_ccs_injection": false}
tls_fallback_scsv: {"supports_fallback_scsv": true}
heartbleed: {"is_vulnerable_to_heartbleed": false}
robot: {"robot_result": "NOT_VULNERABLE_RSA_NOT_SUPPORTED"}
session_renegotiation: {"supports_secure_renegotiation": true, "is_vulnerable_to_client_renegotiation_dos": false, "client_renegotiations_success_count": 0}
elliptic_curves: X25519 secp256r1 secp384r1
tls_extended_master_secret: {"supports_ems_extension": true}
"""  # fmt: skip


def run(checks, tools, twinread):
    files, report = certificate(tools), tools.scratch / "sslyze.json"
    with contextlib.ExitStack() as running:
        port, _ = running.enter_context(stack(lambda path: {"path": path}))
        text = CONFIGURATION.replace("OLD", str(port))
        for word, file in files.items():
            text = text.replace(word, str(file))
        sidecar = running.enter_context(Sidecar(tools, twinread, "scan", text))
        address = f"{LOCALHOST}:{sidecar.listen}"
        options = ["--sni=localhost", "--certinfo_ca_file", files["CA"], f"--json_out={report}", address]
        ran = tools.run([str(part) for part in (tools.venv / "sslyze", *options)])
        checks.that("it complies with Mozilla's intermediate configuration", f"{address}: OK - Compliant." in ran.stdout, ran.stdout)
        (found,) = json.loads(report.read_text())["server_scan_results"]
        for line in SAID.strip().splitlines():
            command, expected = line.split(": ", 1)
            checks.equal(f"sslyze: {command}", said(found["scan_result"][command]["result"]), expected)
        secured = http.client.HTTPSConnection(LOCALHOST, sidecar.listen, timeout=20, context=ssl.create_default_context(cafile=files["CA"]))
        secured.request("GET", "/a")
        checks.equal("it still answers", secured.getresponse().read(), b'{"path": "/a"}')
        secured.close()


def said(result):
    if "accepted_cipher_suites" in result:
        return " ".join(sorted(each["cipher_suite"]["name"] for each in result["accepted_cipher_suites"])) or "none"
    if "supported_curves" in result:
        return " ".join(sorted(curve["name"] for curve in result["supported_curves"]))
    return json.dumps(result)
