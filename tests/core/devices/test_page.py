"""The page that the mail about a new device links to, in a real browser."""

import re
import time

import pytest
from playwright.sync_api import sync_playwright

from tests.cli.program import PASSWORD, PATIENCE, Served

ADA = {"email": "ada@example.com", "password": PASSWORD}


def mailed_link(server):
    """The console transport prints the mail after the response."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"http://\S+/devices/disown#\S+", server.out)):
        assert time.monotonic() < deadline, server.out
        time.sleep(0.05)
    return found[0]


@pytest.mark.slow
def test_only_the_button_on_the_page_signs_the_device_out(tmp_path):
    """R06, F7: opening changes nothing, the token leaves the address bar, and the page reports a second use."""
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
            page.locator("#said").get_by_text("This link was already used").wait_for()
            browser.close()
            assert broken == []


FETCH = """async ([method, path, body]) => {
  const headers = { "content-type": "application/json" };
  return (await fetch(path, { method, headers, body: body && JSON.stringify(body) })).status;
}"""


@pytest.mark.slow
def test_a_browser_that_signs_out_everywhere_keeps_only_its_device_cookie(tmp_path):
    """I13: clearing all cookies would delete the device cookie, and the next sign-in would be from a new device."""
    with Served(tmp_path) as served, sync_playwright() as playwright:
        server = served.ready()
        with server.client() as client:
            client.post("/auth/register", json=ADA)
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{client.base_url}/auth/devices/disown")
            login = ["POST", "/auth/login", {**ADA, "transport": "cookie"}]
            assert page.evaluate(FETCH, login) == 200
            assert len(context.cookies()) == 3
            assert page.evaluate(FETCH, ["DELETE", "/auth/sessions", None]) == 204
            (device,) = context.cookies()
            assert device["name"] == "ostiary_dev_device"
            assert page.evaluate(FETCH, login) == 200
            assert device["value"] in [cookie["value"] for cookie in context.cookies()], "the device was recognised"
            browser.close()
