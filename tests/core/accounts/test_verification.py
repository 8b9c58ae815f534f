"""The link of a registration mail: in production, only the link creates the account."""

import asyncio
import re

import httpx

from ostiary.core.opaque import Purpose, new_token
from ostiary.settings import MailSettings, RegistrationSettings
from tests.core.installation import EMAIL, ISSUER, PASSWORD, installation, told

OTHER_PASSWORD = "a kettle that hums in winter"
PRODUCTION = {"production": True}
SMTP = MailSettings(smtp="smtp://mail.example.com")


def token_in(mail):
    (token,) = re.findall(r"#(\S+)", mail.text)
    return token


async def pending(house, email=EMAIL, password=PASSWORD):
    """Registers and returns the token of the latest mail."""
    assert (await house.register(email, password)).status_code == 202
    return token_in((await house.mails())[-1])


async def verify(house, token, **options):
    return await house.post("/email/verify", {"token": token}, **options)


async def count(house, table="accounts"):
    return (await house.rows(f"select count(*) from {table}"))[0][0]


async def test_in_production_the_account_is_created_when_the_link_is_used(database_url):
    async with installation(database_url, SMTP, **PRODUCTION) as house:
        token = await pending(house)
        assert await count(house) == 0
        assert (await house.login()).status_code == 401
        answer = await verify(house, token)
        assert (answer.status_code, answer.content) == (204, b"")
        assert "set-cookie" not in answer.headers, "confirming an address does not sign in"
        signed_in = await house.login()
        me = (await house.get("/me", token=signed_in.json()["access_token"])).json()
        assert me["account"]["email_verified"] is True
        assert me["roles"] == ["user"]


async def test_the_link_uses_the_issuer_and_ignores_the_host_header(sqlite_url):
    """R01, F5: Host header poisoning."""
    forged = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "javascript",
        "x-forwarded-prefix": "/evil",
        "forwarded": "host=evil.example;proto=http",
        "x-host": "evil.example",
        "x-original-url": "https://evil.example/",
        "origin": "https://evil.example",
        "referer": "https://evil.example/",
    }
    async with installation(sqlite_url, SMTP, **PRODUCTION) as house:
        transport = httpx.ASGITransport(house.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://evil.example", trust_env=False) as http:
            body = {"email": EMAIL, "password": PASSWORD}
            assert (await http.post("/auth/register", json=body, headers=forged)).status_code == 202
        (mail,) = await house.mails()
        assert "evil" not in mail.text + mail.subject
        assert re.search(rf"^{ISSUER}/auth/email/verify#ostiary_verify_[0-9a-f]+$", mail.text, re.MULTILINE)
        assert mail.to == EMAIL
        assert "within 24 hours" in mail.text


async def test_an_issuer_with_a_path_is_in_the_link(sqlite_url):
    async with installation(
        sqlite_url, RegistrationSettings(verification_lifetime=1800), SMTP, **PRODUCTION, issuer=f"{ISSUER}/realm"
    ) as house:
        await house.register()
        (mail,) = await house.mails()
        assert f"{ISSUER}/realm/auth/email/verify#" in mail.text
        assert "within 30 minutes" in mail.text


async def test_a_token_works_once_even_for_twenty_concurrent_requests(database_url):
    """R02, R03."""
    async with installation(database_url, SMTP, **PRODUCTION) as house:
        token = await pending(house)
        answers = await asyncio.gather(*(verify(house, token) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [204] + [401] * 19
        assert await count(house) == 1
        assert len(await house.events("accounts.registered")) == 1
        assert (await verify(house, token)).status_code == 401


async def test_a_token_expires_exactly_on_time(sqlite_url):
    async with installation(sqlite_url, RegistrationSettings(verification_lifetime=600), SMTP, **PRODUCTION) as house:
        token = await pending(house)
        house.clock.advance(600)
        assert (await verify(house, token)).status_code == 401
        assert await count(house) == 0
        other = await pending(house)
        house.clock.advance(599.999)
        assert (await verify(house, other)).status_code == 204


async def test_of_two_pending_registrations_the_one_whose_link_is_used_counts(database_url):
    """An attacker who registers the address of another person never sees the link, and does not block the owner."""
    async with installation(database_url, SMTP, **PRODUCTION) as house:
        strangers = await pending(house, EMAIL.upper(), OTHER_PASSWORD)
        owners = await pending(house, EMAIL, PASSWORD)
        assert (await verify(house, owners)).status_code == 204
        assert await count(house, "registrations") == 0, "R02: no earlier registration is left"
        assert (await verify(house, strangers)).status_code == 401
        assert (await house.login(password=OTHER_PASSWORD)).status_code == 401
        assert (await house.login(password=PASSWORD)).status_code == 200


async def test_two_links_of_one_address_used_concurrently_create_one_account(database_url):
    async with installation(database_url, SMTP, **PRODUCTION) as house:
        tokens = [await pending(house, EMAIL, password) for password in (PASSWORD, OTHER_PASSWORD)]
        answers = await asyncio.gather(*(verify(house, token) for token in tokens * 5))
        assert sorted(answer.status_code for answer in answers) == [204] + [401] * 9
        assert await count(house) == 1


async def test_a_link_for_an_address_that_already_got_an_account_changes_nothing(sqlite_url):
    async with installation(sqlite_url, SMTP, **PRODUCTION) as house:
        token = await pending(house, EMAIL, OTHER_PASSWORD)
        await house.person()
        assert (await verify(house, token)).status_code == 401
        assert (await house.login(password=OTHER_PASSWORD)).status_code == 401
        assert (await house.login()).status_code == 200


async def test_the_row_written_for_a_taken_address_is_useless(sqlite_url):
    """The row exists so that the work is the same. Its token was never sent, and the address is already taken."""
    async with installation(sqlite_url, SMTP, **PRODUCTION) as house:
        await house.person()
        await house.register(password=OTHER_PASSWORD)
        assert await count(house, "registrations") == 1
        assert (await house.login(password=OTHER_PASSWORD)).status_code == 401
        assert all("#" not in mail.text for mail in await house.mails())


async def test_malformed_tokens_get_identical_responses_and_cost_no_statement(sqlite_url):
    """J23: this includes tokens for other purposes and an access token."""
    async with installation(sqlite_url, SMTP, **PRODUCTION) as house:
        tokens = await house.session(await house.person())
        good = await pending(house, "new@example.com")
        statements = []
        house.watch(statements.append)
        wrong = [
            "", "x", good[:-1], good + "0", good.upper(), good + "\n", " " + good,
            tokens.refresh, tokens.access, new_token(Purpose.ATTEMPT, house.ambient.random).text,
        ]  # fmt: skip
        answers = [await verify(house, token) for token in wrong]
        assert statements == []
        unknown = await verify(house, new_token(Purpose.VERIFY, house.ambient.random).text)
        assert {str(told(answer)) for answer in answers} == {str(told(unknown))}
        assert (unknown.status_code, unknown.json()["code"]) == (401, "invalid_token")
        assert (await verify(house, good)).status_code == 204, "none of it used it up"


async def test_opening_the_link_changes_nothing_and_the_page_does_not_contain_the_token(sqlite_url):
    """R06, F7: mail scanners open links. The token is in the fragment, which no server, log or Referer contains."""
    async with installation(sqlite_url, SMTP, **PRODUCTION) as house:
        token = await pending(house)
        for _ in range(3):
            page = await house.get("/email/verify")
        head = await house.ask("HEAD", "/auth/email/verify")
        queried = await house.get(f"/email/verify?token={token}")
        assert {page.status_code, head.status_code, queried.status_code} == {200}
        assert token not in page.text + queried.text
        assert await count(house) == 0
        assert (await verify(house, token)).status_code == 204


async def test_the_page_runs_only_its_own_script_and_sends_no_referrer(sqlite_url):
    """J6, F7."""
    async with installation(sqlite_url, SMTP, **PRODUCTION) as house:
        pages = [await house.get("/email/verify") for _ in range(2)]
        nonces = set()
        for page in pages:
            policy = page.headers["content-security-policy"]
            (nonce,) = set(re.findall(r"'nonce-([A-Za-z0-9+/]{22}==)'", policy))
            nonces.add(nonce)
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["cache-control"] == "no-store"
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert re.findall(r"<(?:script|style) nonce=\"([^\"]+)\"", page.text) == [nonce, nonce]
            assert not re.search(r"\b(?:src|href|action|on[a-z]+)=", page.text), "nothing from other sites"
            assert "location.hash" in page.text
        assert len(nonces) == 2, "each response has its own"


async def test_only_expired_registrations_are_swept(database_url):
    async with installation(database_url, RegistrationSettings(verification_lifetime=600), SMTP, **PRODUCTION) as house:
        await pending(house, "old@example.com")
        house.clock.advance(300)
        token = await pending(house, "young@example.com")
        house.clock.advance(300)
        await house.tidy()
        assert await count(house, "registrations") == 1
        assert (await verify(house, token)).status_code == 204


async def test_l14_the_password_check_refuses_a_registration_made_by_a_stranger(database_url):
    """The stranger registered first with their own password. Our page asks the owner for the owner's password."""
    async with installation(database_url, SMTP, **PRODUCTION) as house:
        strangers = await pending(house, password=OTHER_PASSWORD)
        own = await pending(house)
        refused = await house.post("/email/verify", {"token": strangers, "password": PASSWORD})
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
        assert await count(house) == 0
        assert (await house.post("/email/verify", {"token": own, "password": PASSWORD})).status_code == 204
        assert (await house.login()).status_code == 200
        assert (await house.login(password=OTHER_PASSWORD)).status_code == 401
        late = await house.post("/email/verify", {"token": strangers, "password": OTHER_PASSWORD})
        assert (late.status_code, late.json()["code"]) == (401, "invalid_token")


async def test_passwords_at_a_link_are_counted_and_normalised(sqlite_url):
    here = {"source": "198.51.100.1"}
    async with installation(sqlite_url, RegistrationSettings(limit="3/minute"), SMTP, **PRODUCTION) as house:
        token = await pending(house, password="Zoe\u0301 keeps nine otters")
        wrong = [await house.post("/email/verify", {"token": token, "password": "x" * 300}, **here) for _ in range(2)]
        assert {answer.json()["code"] for answer in wrong} == {"invalid_credentials"}
        right = await house.post("/email/verify", {"token": token, "password": "Zo\u00e9 keeps nine otters"}, **here)
        assert right.status_code == 204
        limited = await house.post("/email/verify", {"token": token, "password": PASSWORD}, **here)
        assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
