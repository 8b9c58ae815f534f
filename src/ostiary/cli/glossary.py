"""What the parts of a token mean, in plain words."""

from typing import Final

HEADER: Final = {
    "alg": "the signature algorithm",
    "kid": "the name of the key that is said to have signed",
    "typ": "the kind of token",
    "cty": "the kind of content: only for tokens within tokens",
    "crit": "members that a reader must understand or refuse the token",
    "b64": "whether the payload is base64url (RFC 7797)",
    "jwk": "a public key that the token brings along",
    "jku": "a URL where the token says its keys are",
    "x5c": "a certificate chain that the token brings along",
    "x5u": "a URL where the token says its certificates are",
    "x5t": "the SHA-1 of a certificate",
    "x5t#S256": "the SHA-256 of a certificate",
    "zip": "how the content is compressed",
    "enc": "how the content is encrypted",
}

CLAIMS: Final = {
    "iss": "who issued it",
    "sub": "whom it is about: an account or a client",
    "aud": "whom it is for: nobody else may take it",
    "exp": "when it ends",
    "nbf": "when it begins",
    "iat": "when it was issued",
    "jti": "its own name",
    "client_id": "the client that it was issued to",
    "sid": "the session that it belongs to",
    "ver": "the account's epoch: lower ones were revoked all at once",
    "roles": "the account's roles when it was issued",
    "scope": "what the client may do",
    "auth_time": "when its owner signed in",
    "acr": "how strong the sign-in was",
    "amr": "the factors of the sign-in",
    "cnf": "the key whose possession the sender must prove",
    "status": "where its status can be asked",
    "nonce": "what ties an ID token to a request",
    "azp": "the client that asked for an ID token",
    "email": "an address",
}

UNKNOWN_CLAIM: Final = "a claim of the issuer's own"
UNKNOWN_MEMBER: Final = "a member that verifiers ignore"

ALGORITHMS: Final = {
    "ES256": "ECDSA with P-256 and SHA-256",
    "ES384": "ECDSA with P-384 and SHA-384",
    "ES512": "ECDSA with P-521 and SHA-512",
    "Ed25519": "Ed25519",
    "EdDSA": "Ed25519, by its older name",
    "RS256": "RSA PKCS #1 v1.5 with SHA-256",
    "RS384": "RSA PKCS #1 v1.5 with SHA-384",
    "RS512": "RSA PKCS #1 v1.5 with SHA-512",
    "PS256": "RSA-PSS with SHA-256",
    "PS384": "RSA-PSS with SHA-384",
    "PS512": "RSA-PSS with SHA-512",
    "ML-DSA-44": "ML-DSA-44, against quantum computers",
    "ML-DSA-65": "ML-DSA-65, against quantum computers",
    "ML-DSA-87": "ML-DSA-87, against quantum computers",
    "HS256": "HMAC with SHA-256: a secret that signs and verifies",
    "HS384": "HMAC with SHA-384: a secret that signs and verifies",
    "HS512": "HMAC with SHA-512: a secret that signs and verifies",
}

SIGNATURE_SIZES: Final = {"ES256": 64, "ES384": 96, "ES512": 132, "Ed25519": 64, "EdDSA": 64}
"""In bytes, where the algorithm has only one (RFC 7518 §3.4, RFC 8032 §5.1.6)."""

DANGEROUS: Final = {
    "jwk": "brings its own key: a verifier that believed it would believe anybody",
    "jku": "says where to fetch the key: a verifier that followed it would believe anybody, and could be sent anywhere",
    "x5u": "says where to fetch the certificate: a verifier that followed it could be sent anywhere",
    "x5c": "brings its own certificates: a verifier that believed them unchecked would believe anybody",
    "crit": "asks for extensions that are not understood here",
    "b64": "changes how the payload is read",
    "zip": "is compressed, which a signed token never is",
    "enc": "belongs to an encrypted token",
}

TIMES: Final = ("exp", "nbf", "iat", "auth_time")
