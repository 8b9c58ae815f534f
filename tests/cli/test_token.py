"""`ostiary token inspect` explains any text, and `token verify` accepts exactly what the verifier accepts."""

import asyncio
import base64
import contextlib
import http.server
import json
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary.app import Ostiary
from ostiary.cli.dissection import dissect
from ostiary.cli.output import visible
from ostiary.core.clock import SystemClock
from ostiary.errors import InvalidToken
from ostiary.jose import KeySet, SigningKey, sign
from ostiary.verifier import Verifier
from tests.cli.program import call, run

KEY = SigningKey.generate("ES256")
ISSUER = "http://127.0.0.1:8000"
NOW = 1_800_000_000
CLAIMS = {
    "iss": ISSUER,
    "sub": "acc_ada",
    "aud": "https://orders.example.com",
    "exp": NOW + 900,
    "iat": NOW,
    "jti": "1",
    "client_id": "client_first_party",
    "sid": "ses_1",
    "ver": 1,
    "roles": ["user"],
    "scope": "",
    "auth_time": NOW,
    "acr": "urn:ostiary:aal:1",
    "amr": ["pwd"],
}


def token(claims=None, *, typ="at+jwt", key=KEY, **changed):
    members = {**(CLAIMS if claims is None else claims), **changed}
    return sign(json.dumps({k: v for k, v in members.items() if v is not ...}).encode(), key, typ=typ)


def with_header(header, payload=None):
    _, rest = (payload or token()).split(".", 1)
    text = header if isinstance(header, str) else json.dumps(header)
    return f"{encoded(text)}.{rest}"


def encoded(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def problems(text, now=NOW):
    return dissect(text, now=now).problems


def test_a_good_token_is_fully_explained_and_has_no_problems():
    found = dissect(token(nickname="ada"), now=NOW + 60)
    assert found.problems == []
    assert [line.name for line in found.header_lines] == ["alg", "kid", "typ"]
    assert [line.name for line in found.claim_lines] == [*CLAIMS, "nickname"]
    meanings = {line.name: line.meaning for line in (*found.header_lines, *found.claim_lines)}
    assert meanings["alg"].endswith("ECDSA with P-256 and SHA-256")
    assert meanings["exp"] == "when the token expires: 2027-01-15T08:15:00Z, in 14 minutes"
    assert meanings["iat"] == "when the token was issued: 2027-01-15T08:00:00Z, 1 minute ago"
    assert meanings["nickname"] == "a custom claim of the issuer"
    assert found.signature == "64 bytes, not checked"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        ("Bearer " + token(), "scheme of the Authorization header"),
        ("ostiary_refresh_" + "0" * 72, "opaque token"),
        ("a.b", "2 segments"),
        (token() + ".", "4 segments"),
        ("a.b.c.d.e", "encrypted token (JWE)"),
        (token() + "A" * 20_000, "verifiers refuse more than 16384"),
        (token().rsplit(".", 1)[0] + ".", "there is no signature, so"),
        (token().rsplit(".", 1)[0] + ".AAAA", "the signature has 3 bytes, but with ES256 it always has 64"),
        (token() + "=", "the signature has padding"),
        (token().replace(".", "+.", 1), "the header contains + from base64"),
        ("é" + token(), "the header contains characters that are not base64url"),
        (token().replace(".", "A.", 1), "the header"),
        (with_header("[]"), "the header is not a strict JSON object"),
        (with_header('{"alg":"none","alg":"ES256"}'), "a name occurs twice"),
        (with_header('{"alg":"ES256","x":NaN}'), "NaN and Infinity are not JSON"),
        (with_header({"typ": "at+jwt"}), "the header names no algorithm"),
        (with_header({"alg": "none"}), "the token is not signed"),
        (with_header({"alg": "nOnE "}), "the token is not signed"),
        (with_header({"alg": ["ES256"]}), "alg is not a string"),
        (with_header({"alg": "ES256K"}), "which is not a known algorithm"),
        (with_header({"alg": "HS256"}), "anyone who can verify it can also make one"),
        (with_header({"alg": "ES256"}), "the header has no type (typ)"),
        (with_header({"alg": "ES256", "typ": "JWT"}), 'typ is "JWT", but an access token has'),
        (with_header({"alg": "ES256", "typ": 1}), "typ is not a string"),
        (with_header({"alg": "ES256", "typ": "at+jwt"}), "the header has no key id (kid)"),
        (with_header({"alg": "ES256", "kid": 1}), "kid is not a string"),
        (with_header({"alg": "ES256", "kid": "k" * 300, "typ": "at+jwt"}), "verifiers refuse it"),
        (with_header({"alg": "ES256", "jwk": {}}), "the header's jwk embeds a key"),
        (with_header({"alg": "ES256", "jku": "https://evil"}), "the header's jku says where to fetch the key"),
        (with_header({"alg": "ES256", "crit": ["x"]}), "the header's crit"),
        (token(exp=NOW - 3 * 86400), "it expired 3 days ago"),
        (token(exp=NOW), "it expired just now"),
        (token(nbf=NOW + 1), "it is not valid yet: it becomes valid in 1 second"),
        (token(iat=NOW + 120), "iat is in the future, in 2 minutes: one of the clocks is wrong"),
        (token(exp=NOW + 90_000), "its lifetime is 1 day"),
        (token(exp=NOW + 1, iat=NOW + 1), "it is never valid: exp is not after iat"),
        (token(auth_time=NOW + 1), "it was issued before its sign-in"),
        (token(exp="1800000900"), "exp is not a time"),
        (token(exp=True), "exp is not a time"),
        (token(exp=1.5), "exp is not a time"),
        (token(exp=10**20), "exp is not a time"),
        (token(iat=-1), "iat is not a time"),
        (token(sid=..., ver=...), "claims of an access token are missing: sid, ver"),
        (token({}), "claims of an access token are missing: iss, sub, aud"),
        (token(sub=""), "sub is empty or not a string"),
        (token(roles="admin"), "verifiers refuse it: roles: the claim has the wrong type or value"),
        (token(cnf={"x5t#S256": "x"}), "verifiers refuse it"),
        (token(ver=-1), "verifiers refuse it"),
    ],
)
def test_a_problem_is_reported(text, told):
    assert any(told in problem for problem in problems(text)), problems(text)


GOOD = Verifier(keys=[KEY.public], issuer=ISSUER, audience=CLAIMS["aud"], leeway=0, clock=lambda: NOW)

values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.just([]), st.just({})
)


@given(st.sampled_from(sorted({*CLAIMS, "nbf", "cnf", "status"} - {"iss", "aud"})), values)
def test_inspect_finds_a_problem_exactly_when_the_verifier_refuses_the_token(name, value):
    """This does not cover the keys, issuer and audience, which only the verifier has."""
    text = token(**{name: value})
    try:
        GOOD.verify(text)
    except InvalidToken:
        assert problems(text)
    else:
        assert problems(text) == []


@given(st.text())
@example("." * 20_000)
@example("e30." * 3)
@example(encoded("[" * 900) + "." + encoded('{"a":' * 900) + ".x")
@example(encoded("{" + '"a":[' * 150 + "]" * 150 + "}") + "." + encoded('{"exp":' + "9" * 5000 + "}") + ".x")
@example(encoded('{"alg":"\\ud800","exp":1e999}') + "." + encoded('{"exp":-1e999,"nbf":Infinity}') + ".x")
@example("\ud800.\x00.\x1b[31m")
def test_dissect_does_not_fail_on_any_text(text):
    found = dissect(text, now=NOW)
    assert found.problems
    json.dumps({"header": found.header, "claims": found.claims}, allow_nan=False)
    for line in (*found.header_lines, *found.claim_lines):
        visible(f"{line.name}{line.value}{line.meaning}").encode()


json_values = st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
objects = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "exp", "iat", "sub", "aud"]) | st.text(), json_values
)


@given(objects, objects, st.binary(max_size=70))
def test_dissect_does_not_fail_on_any_header_or_claims(header, claims, signature):
    parts = [json.dumps(header), json.dumps(claims)]
    text = ".".join([*map(encoded, parts), base64.urlsafe_b64encode(signature).decode()])
    found = dissect(text, now=NOW)
    assert found.problems
    assert found.signature.endswith(("not checked", "nothing to check"))


def test_inspect_never_calls_a_signature_good(tmp_path):
    """A forged token must not look genuine: `inspect` shows both alike, and only `verify` tells them apart."""
    forged = token(key=SigningKey.generate("ES256", kid=KEY.kid))
    genuine, fake = (call("token", "inspect", text, folder=tmp_path) for text in (token(), forged))
    assert genuine.returncode == fake.returncode == 0
    assert without_signature_words(genuine.stdout) == without_signature_words(fake.stdout)
    assert "64 bytes, not checked" in fake.stdout


def without_signature_words(text):
    # relative times may change between the two calls
    return [line.partition("Z, ")[0] for line in text.splitlines()]


def test_inspect_reads_stdin_and_prints_json(tmp_path):
    done = call("token", "inspect", "-", "--json", folder=tmp_path, stdin=f"  {token()}\n")
    told = json.loads(done.stdout)
    assert told["claims"] == CLAIMS
    assert told["header"] == {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}
    assert told["signature"] == "64 bytes, not checked"
    assert set(told["explanations"]) == {*CLAIMS, "alg", "kid", "typ"}
    assert list(tmp_path.iterdir()) == []


def test_no_escape_reaches_the_terminal(tmp_path):
    done = call("token", "inspect", "-", folder=tmp_path, stdin=token(sub="\x1b[2J\u202e") + "\x1b[31m")
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


@pytest.mark.parametrize("text", ["-----", "--", "-x", "--help.x.y"])
def test_a_text_that_starts_with_a_hyphen_can_be_read_from_stdin(tmp_path, text):
    done = call("token", "inspect", "-", folder=tmp_path, stdin=text)
    assert done.returncode == 0
    assert "Problems:" in done.stdout


# -- verify ------------------------------------------------------------------------------------------------------------


def fresh(**changed):
    now = SystemClock().now() // 1_000_000
    return token(**{"exp": now + 900, "iat": now, "auth_time": now, **changed})


def verify(folder, text, *arguments, jwks="jwks.json", issuer=ISSUER, audience=CLAIMS["aud"]):
    (folder / "jwks.json").write_text(json.dumps(KeySet([KEY.public]).to_jwks(), indent=2) + "\n")
    where = ("--jwks", jwks, "--issuer", issuer, "--audience", audience)
    return call("token", "verify", "-", *where, *arguments, folder=folder, stdin=f"{text}\n")


def test_a_good_token_prints_one_line_and_exits_with_0(tmp_path):
    done = verify(tmp_path, fresh())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("good: acc_ada, expires ")
    assert done.stdout.count("\n") == 1


def test_json_has_all_claims_including_custom_ones(tmp_path):
    done = verify(tmp_path, fresh(tenant={"id": [1, 2]}), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["good"]) == (0, True)
    assert told["claims"]["tenant"] == {"id": [1, 2]}
    assert set(told["claims"]) == {*CLAIMS, "tenant"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (fresh(exp=1_700_000_900, iat=1_700_000_000, auth_time=1_700_000_000), "expired"),
        (fresh(aud="https://other.example.com"), "for another audience"),
        (fresh(iss="https://other.example.com"), "of another issuer"),
        (fresh()[:-8] + "AAAAAAAA", "the signature does not match"),
        (sign(b"{}", KEY, typ="JWT"), "a token of another kind"),
        (fresh(key=SigningKey.generate("ES256")), "no key of that name and algorithm"),
        ("nonsense", "not three segments"),
        ("", "not three segments"),
    ],
)
def test_a_bad_token_prints_one_line_and_exits_with_1(tmp_path, text, reason):
    done = verify(tmp_path, text)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("refused: ")
    assert reason in done.stdout
    assert done.stdout.count("\n") == 1
    as_json = verify(tmp_path, text, "--json")
    assert as_json.returncode == 1
    told = json.loads(as_json.stdout)
    assert (told["good"], reason in told["reason"]) == (False, True)


@pytest.mark.parametrize(
    ("jwks", "told"),
    [
        ("missing.json", "missing.json: No such file or directory"),
        (".", "Is a directory"),
        ("http://keys.example.com/jwks.json", "http is only for the loopback interface"),
        ("ftp://keys.example.com/jwks.json", "No such file or directory"),
        ("http://127.0.0.1:1/jwks.json", "could not be fetched: no address of 127.0.0.1 accepts"),
    ],
)
def test_keys_that_cannot_be_read_exit_with_2_and_give_no_verdict(tmp_path, jwks, told):
    done = verify(tmp_path, fresh(), jwks=jwks)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AA"}]}', "\x00" * 9])
def test_a_file_without_keys_exits_with_2_and_gives_no_verdict(tmp_path, content):
    (tmp_path / "other.json").write_text(content)
    done = verify(tmp_path, fresh(), jwks="other.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ostiary: ")


def test_segments_are_counted_with_the_right_plural(tmp_path):
    assert "it has 1 segment, but" in call("token", "inspect", "xx", folder=tmp_path).stdout
    assert "it has 2 segments, but" in call("token", "inspect", "x.x", folder=tmp_path).stdout


def test_keys_may_come_from_a_url(tmp_path):
    with serving(json.dumps(KeySet([KEY.public]).to_jwks()).encode()) as url:
        assert verify(tmp_path, fresh(), jwks=f"{url}/jwks.json").returncode == 0
        assert verify(tmp_path, fresh(key=SigningKey.generate("ES256")), jwks=f"{url}/jwks.json").returncode == 1


@contextlib.contextmanager
def serving(body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_only_tokens_of_the_same_installation_are_good(tmp_path):
    """End to end: one command prints the keys, and another verifies tokens with them."""
    assert call("migrate", folder=tmp_path).returncode == 0
    (tmp_path / "own.json").write_text(run("keys", "jwks", folder=tmp_path).stdout)
    own = fresh(key=asyncio.run(current_key(tmp_path)))
    assert verify(tmp_path, own, jwks="own.json").returncode == 0
    assert verify(tmp_path, fresh(), jwks="own.json").returncode == 1


async def current_key(folder):
    async with Ostiary(f"sqlite:///{folder / 'ostiary.db'}", environ={}).opened() as house:
        return house.ambient.keys.current
