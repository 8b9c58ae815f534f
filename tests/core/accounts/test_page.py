"""The page that a registration mail links to, in a real browser."""

import re
import time

import pytest
from playwright.sync_api import sync_playwright

from tests.cli.program import PASSWORD, PATIENCE, Served


def mailed_link(server):
    """The console transport prints the mail after the response."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"http://\S+/email/verify#\S+", server.out)):
        assert time.monotonic() < deadline, server.out
        time.sleep(0.05)
    return found[0]


@pytest.mark.slow
def test_a_user_confirms_an_address_with_the_link_and_the_password(tmp_path):
    """L14, R06, F7: opening changes nothing, the token leaves the address bar, the link survives a wrong password."""
    with (
        Served(tmp_path, environ={"OSTIARY_REGISTRATION_REQUIRE_VERIFIED_EMAIL": "true"}) as served,
        sync_playwright() as playwright,
    ):
        server = served.ready()
        with server.client() as client:
            client.post("/auth/register", json={"email": "ada@example.com", "password": PASSWORD})
            link = mailed_link(server)
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page()
            broken = []
            page.on("pageerror", lambda error: broken.append(error))
            page.goto(link)
            assert page.url == link.partition("#")[0]
            said = page.locator("#said")
            page.fill("#password", "not the one that was chosen")
            page.click("#button")
            said.get_by_text("This is not the password").wait_for()
            page.fill("#password", PASSWORD)
            page.click("#button")
            said.get_by_text("Your address is confirmed").wait_for()
            browser.close()
            assert broken == []
            signed_in = client.post("/auth/login", json={"email": "ada@example.com", "password": PASSWORD})
            assert signed_in.status_code == 200
