"""`HmacKey` refuses every spelling of an asymmetric key, and accepts random secrets in every spelling."""

import base64
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import KeyRejected
from ostiary.jose import HmacKey
from tests.jose.material import key, key_set

PUBLIC, PRIVATE = serialization.PublicFormat, serialization.PrivateFormat
PEM, DER, SSH = serialization.Encoding.PEM, serialization.Encoding.DER, serialization.Encoding.OpenSSH
PLAIN, ENCRYPTED = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"pw")
DATE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SPKI = PUBLIC.SubjectPublicKeyInfo

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def _certificate():
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
    made = x509.CertificateBuilder(name, name, EC.public_key(), 1, DATE, DATE)
    return made.sign(EC, hashes.SHA256())


def _request():
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
    return x509.CertificateSigningRequestBuilder(name).sign(EC, hashes.SHA256())


CERTIFICATE = _certificate()
DERS = {
    "RSA": RSA.public_key().public_bytes(DER, SPKI),
    "RSA, PKCS#1": RSA.public_key().public_bytes(DER, PUBLIC.PKCS1),
    "EC": EC.public_key().public_bytes(DER, SPKI),
    "Ed25519": ED.public_key().public_bytes(DER, SPKI),
    "DSA": dsa.generate_private_key(2048).public_key().public_bytes(DER, SPKI),
    "private RSA": RSA.private_bytes(DER, PRIVATE.PKCS8, PLAIN),
    "private RSA, PKCS#1": RSA.private_bytes(DER, PRIVATE.TraditionalOpenSSL, PLAIN),
    "private EC, SEC 1": EC.private_bytes(DER, PRIVATE.TraditionalOpenSSL, PLAIN),
    "private Ed25519": ED.private_bytes(DER, PRIVATE.PKCS8, PLAIN),
    "encrypted private EC": EC.private_bytes(DER, PRIVATE.PKCS8, ENCRYPTED),
    "certificate": CERTIFICATE.public_bytes(DER),
    "certificate request": _request().public_bytes(DER),
    "PKCS#7": pkcs7.serialize_certificates([CERTIFICATE], DER),
    "PKCS#12": pkcs12.serialize_key_and_certificates(b"me", EC, CERTIFICATE, None, ENCRYPTED),
}
ED_PEM, EC_PEM = (each.public_key().public_bytes(PEM, SPKI) for each in (ED, EC))
ED_DER, EC_DER = DERS["Ed25519"], DERS["EC"]
SSH_TEXTS = {name: each.public_key().public_bytes(SSH, PUBLIC.OpenSSH) for name, each in
             (("ssh-rsa", RSA), ("ssh-ed25519", ED), ("ecdsa-sha2-nistp256", EC))}  # fmt: skip
JWK = json.dumps(key("ES256").public.to_jwk()).encode()
POINT = EC.public_key().public_bytes(serialization.Encoding.X962, PUBLIC.UncompressedPoint)


def separated(data, separator):
    return separator.join(f"{byte:02x}" for byte in data).encode()


def b64(data):
    return base64.b64encode(data)


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def escaped(data):
    return "".join(f"\\u{byte:04x}" for byte in data).encode()


SPELLINGS = {
    **{f"DER of {name}": der for name, der in DERS.items()},
    **{f"unpadded base64 of DER of {name}": b64(der).rstrip(b"=") for name, der in DERS.items()},
    "DER and a newline": EC_DER + b"\n",
    "DER and NULs": EC_DER + b"\0" * 5,
    "DER after white space": b"\n " + EC_DER,
    # hexadecimal
    "hex": EC_DER.hex().encode(),
    "hex in upper case": EC_DER.hex().upper().encode(),
    "hex in mixed case": (EC_DER.hex()[:60] + EC_DER.hex()[60:].upper()).encode(),
    "hex with colons": separated(EC_DER, ":"),
    "hex with spaces": separated(EC_DER, " "),
    "hex with hyphens": separated(EC_DER, "-"),
    "hex with line breaks": separated(EC_DER, ":\n    "),
    "hex after 0x": b"0x" + EC_DER.hex().encode(),
    "hex as an array": b"{" + b", ".join(b"0x%02x" % byte for byte in EC_DER) + b"}",
    "hex with \\x": b"".join(b"\\x%02x" % byte for byte in EC_DER),
    "hex after a word": b"code " + ED_DER.hex().encode(),
    "hex and a newline": ED_DER.hex().encode() + b"\n",
    "hex of PEM": ED_PEM.hex().encode(),
    "hex of base64 of DER": b64(ED_DER).hex().encode(),
    # base64
    "base64": b64(EC_DER),
    "base64url": base64.urlsafe_b64encode(DERS["RSA"]),
    "base64url without padding": url64(DERS["RSA"]),
    "base64 in lines": base64.encodebytes(DERS["RSA"]),
    "base64 in lines with escaped breaks": base64.encodebytes(DERS["RSA"]).replace(b"\n", b"\\n"),
    "base64 in quotes": b'"' + b64(ED_DER) + b'"',
    "base64 in UTF-16": b64(ED_DER).decode().encode("utf-16"),
    "base64 in UTF-32": b64(ED_DER).decode().encode("utf-32"),
    "base64 with escaped slashes": b64(DERS["RSA"]).replace(b"/", b"\\/"),
    "base64 with percent escapes": b64(DERS["RSA"]).replace(b"+", b"%2B").replace(b"/", b"%2f").replace(b"=", b"%3D"),
    "base64 in a data URL": b"data:application/octet-stream;base64," + b64(ED_DER),
    "base64 of base64 of DER": b64(b64(ED_DER)),
    "base64 of PEM": b64(EC_PEM),
    "base64url of PEM without padding": url64(ED_PEM),
    "base64 of base64 of PEM": b64(b64(EC_PEM)),
    "base64 of hex of DER": b64(ED_DER.hex().encode()),
    "base64 of a certificate's PEM": b64(CERTIFICATE.public_bytes(PEM)),
    # PEM
    "PEM": EC_PEM,
    "PEM without last newline": EC_PEM.rstrip(),
    "PEM with CRLF": EC_PEM.replace(b"\n", b"\r\n"),
    "PEM with escaped line breaks": EC_PEM.replace(b"\n", b"\\n"),
    "PEM on one line": EC_PEM.replace(b"\n", b" "),
    "PEM with spaces at line ends": EC_PEM.replace(b"\n", b" \n"),
    "PEM after a mark": b"\xef\xbb\xbf" + EC_PEM,
    "PEM after a comment": b"# our key\n" + EC_PEM,
    "PEM in UTF-16": EC_PEM.decode().encode("utf-16"),
    "PEM in lower case": EC_PEM.lower(),
    "PEM in \\u escapes": escaped(EC_PEM),
    "PEM without armour": b"".join(EC_PEM.splitlines()[1:-1]),
    "PEM without armour, in lines": b"\n".join(EC_PEM.splitlines()[1:-1]) + b"\n",
    "PEM, PKCS#1": RSA.public_key().public_bytes(PEM, PUBLIC.PKCS1),
    "PEM of a certificate": CERTIFICATE.public_bytes(PEM),
    "PEM of a private key": EC.private_bytes(PEM, PRIVATE.PKCS8, PLAIN),
    "PEM of an encrypted private key": EC.private_bytes(PEM, PRIVATE.PKCS8, ENCRYPTED),
    "OpenSSH private": EC.private_bytes(PEM, PRIVATE.OpenSSH, PLAIN),
    "OpenSSH private without armour": b"".join(EC.private_bytes(PEM, PRIVATE.OpenSSH, PLAIN).splitlines()[1:-1]),
    # SSH
    **{f"{name}, text": text for name, text in SSH_TEXTS.items()},
    **{f"{name}, text with options and comment": b"from=* " + text + b" me@here" for name, text in SSH_TEXTS.items()},
    **{f"{name}, body": text.split()[1] for name, text in SSH_TEXTS.items()},
    **{f"{name}, body without padding": text.split()[1].rstrip(b"=") for name, text in SSH_TEXTS.items()},
    **{f"{name}, wire format": base64.b64decode(text.split()[1]) for name, text in SSH_TEXTS.items()},
    **{f"{name}, hex": base64.b64decode(text.split()[1]).hex().encode() for name, text in SSH_TEXTS.items()},
    # JWK
    "JWK": JWK,
    "JWK after white space": b"\n " + JWK,
    "JWK in an array": b"[" + JWK + b"]",
    "JWK with indentation": json.dumps(json.loads(JWK), indent=2).encode(),
    "JWK in a JSON string": json.dumps(JWK.decode()).encode(),
    "JWK in \\u escapes": escaped(JWK),
    "JWK with one name escaped": JWK.replace(b'"kty"', b'"\\u006bty"'),
    "JWK in base64": b64(JWK),
    "JWK in base64url": url64(JWK),
    "JWK in hex": JWK.hex().encode(),
    "JWK as Python shows it": repr(json.loads(JWK)).encode(),
    "JWK in YAML": b"crv: P-256\nkty: EC\nx: AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "JWK in UTF-16": JWK.decode().encode("utf-16-le"),
    "private JWK": json.dumps(key("ES256").to_jwk()).encode(),
    "JWK Set": json.dumps(key_set(key("ES256")).to_jwks()).encode(),
    "JWK Set in base64": b64(json.dumps(key_set(key("ES256")).to_jwks()).encode()),
    # others
    "point": POINT,
    "point in hex": POINT.hex().encode(),
    "point in base64": b64(POINT),
    "XML": b"<RSAKeyValue><Modulus>AQAB</Modulus><Exponent>AQAB</Exponent></RSAKeyValue>",
    "PuTTY": b"PuTTY-User-Key-File-3: ssh-x\nEncryption: none\n",
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_j03_a_key_in_any_spelling_is_refused_as_an_hmac_secret(name):
    """Otherwise anyone with the public key could sign tokens."""
    assert len(SPELLINGS[name]) >= 32
    with pytest.raises(KeyRejected, match="asymmetric key"):
        HmacKey(SPELLINGS[name], "HS256")


@given(st.integers(32, 600), st.randoms())
def test_a_random_secret_is_accepted_in_every_spelling(size, source):
    secret = source.randbytes(size)
    hexadecimal = (secret.hex().encode(), separated(secret, ":"))
    for spelling in (secret, *hexadecimal, b64(secret), url64(secret), b64(b64(secret))):
        assert HmacKey(spelling, "HS256").alg == "HS256"


def test_many_random_secrets_are_not_mistaken_for_keys():
    for number in range(2000):
        digest = hashes.Hash(hashes.SHA512())
        digest.update(number.to_bytes(2, "big"))
        secret = digest.finalize()
        for spelling in (secret, secret.hex().encode(), b64(secret), url64(secret)):
            HmacKey(spelling, "HS256")


def test_text_secrets_that_are_not_keys_are_accepted():
    words = b"correct horse battery staple, but longer"
    for text in (words, b"sk_live_" + b"0123456789abcdef" * 4, b"%" * 40, b"\\x" * 30, b"=" * 40, b"/" * 59):
        HmacKey(text, "HS256")
