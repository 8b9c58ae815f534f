"""The page of the mail about a new device, in a real browser."""

import re
import time

import pytest
from playwright.sync_api import sync_playwright

from tests.cli.program import PASSWORD, PATIENCE, Served

ADA = {"email": "ada@example.com", "password": PASSWORD}


def mailed_link(server):
    """The console transport prints the mail after the answer."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"http://\S+/devices/disown#\S+", server.out)):
        assert time.monotonic() < deadline, server.out
        time.sleep(0.05)
    return found[0]


@pytest.mark.slow
def test_a_person_signs_a_device_out_with_the_button_and_only_with_it(tmp_path):
    """R06, F7: opening does nothing, the token leaves the address bar, and the second time the page says so."""
    with Served(tmp_path) as served, sync_playwright() as playwright:
        server = served.ready()
        with server.client() as client:
            client.post("/auth/register", json=ADA)
            token = client.post("/auth/login", json=ADA).json()["access_token"]
            link = mailed_link(server)

            def is_signed_in():
                return client.get("/auth/me", headers={"authorization": f"Bearer {token}"}).status_code == 200

            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page()
            broken = []
            page.on("pageerror", lambda error: broken.append(error))
            page.goto(link)
            assert page.url == link.partition("#")[0]
            assert is_signed_in()
            page.click("#button")
            page.locator("#said").get_by_text("The device is signed out").wait_for()
            assert not is_signed_in()
            page.goto("about:blank")
            page.goto(link)
            page.click("#button")
            page.locator("#said").get_by_text("This link was used before").wait_for()
            browser.close()
            assert broken == []
