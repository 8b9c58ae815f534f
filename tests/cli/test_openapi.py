"""`ostiary openapi` prints the server's OpenAPI document without a database."""

import json

from tests.cli.program import call


def test_the_document_is_printed_without_a_database(tmp_path):
    done = call("openapi", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert {"/auth/register", "/auth/login", "/auth/refresh", "/auth/logout", "/auth/me"} <= document["paths"].keys()
    assert list(tmp_path.iterdir()) == []
