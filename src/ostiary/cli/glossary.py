"""What the parts of a token mean, in plain words."""

from typing import Final

HEADER: Final = {
    "alg": "the signature algorithm",
    "kid": "the id of the key that signed, according to the token",
    "typ": "the type of the token",
    "cty": "the type of the content: only used for nested tokens",
    "crit": "members that a verifier must support, or else refuse the token",
    "b64": "whether the payload is base64url (RFC 7797)",
    "jwk": "a public key embedded in the token",
    "jku": "the URL of the keys, according to the token",
    "x5c": "a certificate chain embedded in the token",
    "x5u": "the URL of the certificates, according to the token",
    "x5t": "the SHA-1 fingerprint of a certificate",
    "x5t#S256": "the SHA-256 fingerprint of a certificate",
    "zip": "how the content is compressed",
    "enc": "how the content is encrypted",
}

CLAIMS: Final = {
    "iss": "who issued the token",
    "sub": "the subject: an account or a client",
    "aud": "the audience: no other service may accept the token",
    "exp": "when the token expires",
    "nbf": "when the token becomes valid",
    "iat": "when the token was issued",
    "jti": "the id of the token",
    "client_id": "the client that the token was issued to",
    "sid": "the session that the token belongs to",
    "ver": "the account's epoch: tokens with a lower one are revoked",
    "roles": "the account's roles when the token was issued",
    "scope": "what the client may do",
    "auth_time": "when the user signed in",
    "acr": "the strength of the sign-in",
    "amr": "the authentication factors of the sign-in",
    "cnf": "the key that the sender must prove to possess",
    "status": "where to look up the status of the token",
    "nonce": "a value that ties an ID token to a request",
    "azp": "the client that requested an ID token",
    "email": "an e-mail address",
}

UNKNOWN_CLAIM: Final = "a custom claim of the issuer"
UNKNOWN_MEMBER: Final = "a member that verifiers ignore"

ALGORITHMS: Final = {
    "ES256": "ECDSA with P-256 and SHA-256",
    "ES384": "ECDSA with P-384 and SHA-384",
    "ES512": "ECDSA with P-521 and SHA-512",
    "Ed25519": "Ed25519",
    "EdDSA": "Ed25519, under its older name",
    "RS256": "RSA PKCS #1 v1.5 with SHA-256",
    "RS384": "RSA PKCS #1 v1.5 with SHA-384",
    "RS512": "RSA PKCS #1 v1.5 with SHA-512",
    "PS256": "RSA-PSS with SHA-256",
    "PS384": "RSA-PSS with SHA-384",
    "PS512": "RSA-PSS with SHA-512",
    "ML-DSA-44": "ML-DSA-44, secure against quantum computers",
    "ML-DSA-65": "ML-DSA-65, secure against quantum computers",
    "ML-DSA-87": "ML-DSA-87, secure against quantum computers",
    "HS256": "HMAC with SHA-256: one secret signs and verifies",
    "HS384": "HMAC with SHA-384: one secret signs and verifies",
    "HS512": "HMAC with SHA-512: one secret signs and verifies",
}

SIGNATURE_SIZES: Final = {"ES256": 64, "ES384": 96, "ES512": 132, "Ed25519": 64, "EdDSA": 64}
"""In bytes, where the algorithm has only one (RFC 7518 §3.4, RFC 8032 §5.1.6)."""

DANGEROUS: Final = {
    "jwk": "embeds a key: a verifier that trusted it would accept tokens from anyone",
    "jku": "says where to fetch the key: a verifier that used it would accept tokens from anyone, and fetch any URL",
    "x5u": "says where to fetch the certificate: a verifier that used it would fetch any URL",
    "x5c": "embeds certificates: a verifier that trusted them unchecked would accept tokens from anyone",
    "crit": "requires extensions that are not supported here",
    "b64": "changes how the payload is decoded",
    "zip": "means compressed content, which a signed token never has",
    "enc": "belongs to an encrypted token",
}

TIMES: Final = ("exp", "nbf", "iat", "auth_time")
