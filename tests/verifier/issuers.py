"""Issuers for the tests: real servers on the loopback interface that behave correctly until a test changes them."""

import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import ssl
import threading
from collections import Counter

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ostiary.jose import KeySet
from tests.verifier.material import KEY

METADATA = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
JWKS = "/keys.json"


class Issuer(http.server.ThreadingHTTPServer):
    """Serves metadata and keys. A test can replace entries of ``answers``: path → (status, headers, body).

    A body may be a function of a writer, and an answer a function of query and headers. ``asked``
    counts requests by path, ``wrote`` counts bytes, and ``heard`` holds the requests: path with query, headers.
    """

    daemon_threads = True

    def __init__(self, *, tls=None, name="127.0.0.1", path="", address="127.0.0.1", port=0):
        super().__init__((address, port), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.origin = f"{'https' if tls else 'http'}://{name}:{self.server_port}"
        self.url = self.origin + path
        self.asked, self.wrote, self.heard = Counter(), 0, []
        self.answers = {METADATA + path: json_answer({"issuer": self.url, "jwks_uri": self.origin + JWKS})}
        self.publish(KEY)

    def publish(self, *keys, **headers):
        self.answers[JWKS] = json_answer(KeySet([key.public for key in keys]).to_jwks(), **headers)

    def says(self, **metadata):
        self.answers[METADATA] = json_answer({"issuer": self.url, "jwks_uri": self.origin + JWKS, **metadata})

    @contextlib.contextmanager
    def away(self):
        """Simulates an outage: every request fails."""
        before, self.answers = self.answers, {}
        yield
        self.answers = before

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Ignores clients that hang up: many of these tests make them do so."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.asked[path] += 1
        self.server.heard.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(path, (503, {}, b""))
        status, headers, body = answer(query, self.headers) if callable(answer) else answer
        self.send_response(status)
        if isinstance(body, bytes):
            headers = {"content-length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        body(self.write) if callable(body) else self.write(body)

    def write(self, data):
        self.wfile.write(data)
        self.server.wrote += len(data)

    def log_message(self, *_):
        pass


def json_answer(value, **headers):
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return 200, {"content-type": "application/json", **named}, json.dumps(value).encode()


class Authority:
    """A certificate authority for the test. ``ca_file`` is its certificate."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test's authority")])
        own = _certificate(self._name, self._name, self._key.public_key())
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        own = own.add_extension(_key_usage(signs_certificates=True), critical=True)
        own = own.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server_context(self, *names):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test's server")])
        made = _certificate(subject, self._name, key.public_key())
        made = made.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = made.add_extension(issuer, critical=False)
        file = self._folder / f"{names[0]}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _certificate(subject, issuer, key):
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - TLS looks at the real clock
    day = dt.timedelta(days=1)
    return x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now - day, now + day)


def _key_usage(*, signs_certificates):
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
