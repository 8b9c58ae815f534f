"""A page on another origin, in a real browser."""

import http.server
import threading

import pytest
from playwright.sync_api import sync_playwright

from tests.cli.program import PASSWORD, Served, free_port

ADA = {"email": "ada@example.com", "password": PASSWORD}

FETCH = """async ([method, url, body, headers, credentials]) => {
  const sent = { "content-type": "application/json", ...headers };
  try {
    const answer = await fetch(url, { method, headers: sent, credentials, body: body && JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text && JSON.parse(text), id: answer.headers.get("x-request-id") };
  } catch { return null; }
}"""


class Blank(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_a_page_on_a_trusted_origin_uses_tokens_and_on_the_same_site_cookies(tmp_path):
    """The ports of 127.0.0.1 are origins of one site. ``localhost`` is another site."""
    port = free_port()
    near, far, other = f"http://127.0.0.1:{port}", f"http://localhost:{port}", f"http://127.0.0.2:{port}"
    pages = http.server.ThreadingHTTPServer(("", port), Blank)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    trusted = {"OSTIARY_WEB_TRUSTED_ORIGINS": f"{near} {far}"}
    try:
        with Served(tmp_path, environ=trusted) as served, sync_playwright() as playwright:
            server = served.ready()
            with server.client() as client:
                client.post("/auth/register", json=ADA)
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])

            def fetch(page, method, path, body=None, headers=None, credentials="omit"):
                return page.evaluate(FETCH, [method, server.url + path, body, headers, credentials])

            for origin in (near, far):
                page = browser.new_context().new_page()
                page.goto(origin)
                tokens = fetch(page, "POST", "/auth/login", ADA)["body"]
                bearer = {"authorization": f"Bearer {tokens['access_token']}"}
                assert fetch(page, "GET", "/auth/me", headers=bearer)["status"] == 200
                refused = fetch(page, "GET", "/auth/me")
                assert (refused["status"], bool(refused["id"])) == (401, True)
                assert fetch(page, "GET", "/auth/nowhere")["status"] == 404
                wanted = {**ADA, "transport": "cookie"}
                answer = fetch(page, "POST", "/auth/login", wanted, credentials="include")
                if origin == near:
                    assert answer["status"] == 200
                    assert fetch(page, "GET", "/auth/me", credentials="include")["status"] == 200
                    assert fetch(page, "POST", "/auth/refresh", {}, credentials="include")["status"] == 200
                else:
                    assert answer is None, "the browser refuses to send credentials"
                    answer = fetch(page, "POST", "/auth/login", wanted)
                    assert (answer["status"], answer["body"]["code"]) == (403, "cross_site_request")

            page = browser.new_page()
            page.goto(other)
            assert fetch(page, "POST", "/auth/login", ADA) is None
            browser.close()
    finally:
        pages.shutdown()
        pages.server_close()
