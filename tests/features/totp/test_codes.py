"""The codes, without a database: RFC 6238, the accepted window, and texts that are not codes."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest
import segno

from ostiary.core.entropy import SystemRandom
from ostiary.features.totp.model import matching_step, new_recovery_code, present, recovery_code_hash

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "otp" / "rfc6238_totp.json").read_text())
SHA1 = [vector for vector in VECTORS["tests"] if vector["alg"] == "sha1"]
SECRET = VECTORS["seeds_ascii"]["sha1"].encode()


@pytest.mark.parametrize("vector", SHA1, ids=[str(vector["time"]) for vector in SHA1])
def test_the_codes_of_rfc_6238_are_accepted_for_their_step(vector):
    assert matching_step(SECRET, vector["otp6"], at=vector["time"]) == vector["step"]


@pytest.mark.parametrize("vector", SHA1[1:], ids=[str(vector["time"]) for vector in SHA1[1:]])
def test_a_code_is_accepted_one_step_early_and_late_and_no_further(vector):
    """This uses all vectors except the first: there are no steps before time zero."""
    start, code = vector["step"] * 30, vector["otp6"]
    assert {matching_step(SECRET, code, at=at) for at in (start - 30, start, start + 29, start + 59)} == {
        vector["step"]
    }
    assert matching_step(SECRET, code, at=start - 31) is None
    assert matching_step(SECRET, code, at=start + 60) is None


def test_if_two_steps_have_the_same_code_the_later_one_is_spent():
    """Otherwise the code that was just used would be accepted again, for the later step."""
    earlier, later, code = 50_897_033, 50_897_035, "407517"  # found by search
    assert matching_step(SECRET, code, at=(earlier - 1) * 30) == earlier
    assert matching_step(SECRET, code, at=(earlier + 1) * 30) == later


def in_digits_from(zero):
    """Returns 287082 in the digits of another script."""
    return "".join(chr(zero + int(digit)) for digit in "287082")


ARABIC_INDIC, FULL_WIDTH, BOLD = 0x0660, 0xFF10, 0x1D7CE


@pytest.mark.parametrize(
    "code",
    [
        "",
        "28708",
        "94287082",
        "+28708",
        "-28708",
        "287082" + " " * 100,
        "287_082",
        "287082\0",
        "\u00b287082",
        "28708a",
        *map(in_digits_from, (ARABIC_INDIC, FULL_WIDTH, BOLD)),
    ],
)
def test_only_six_ascii_digits_are_a_code(code):
    """int() and isdigit() accept many of these as 287082, which is the correct code at this time."""
    assert matching_step(SECRET, "287082", at=59) == 1
    assert matching_step(SECRET, code, at=59) is None


SEPARATED = (
    "287 082",
    "287-082",
    " 287082\n",
    "2 8 7 0 8 2",
    "287\xa0082",
    "287\u202f082",
    "287\u2013082",
    "287\u2011082",
    "287\u2212082",
    "\u202a287082\u202c",
    "287\u200b082",
    "\ufeff287082",
    "287\xad082",
    "287\u3000082",
)


@pytest.mark.parametrize("code", SEPARATED, ids=ascii)
def test_a_code_copied_with_white_space_or_dashes_is_accepted(code):
    """Apps show codes in two groups, and what people copy contains the gap."""
    assert matching_step(SECRET, code, at=59) == 1


def test_a_code_of_another_secret_is_refused():
    assert matching_step(bytes(20), "287082", at=59) is None


def test_the_uri_has_the_account_the_issuer_and_the_secret():
    shown = present(SECRET, email="ada+b&c?@example.com", host="auth.example.com")
    assert base64.b32decode(shown.secret) == SECRET
    uri = urlsplit(shown.otpauth_uri)
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/auth.example.com:ada+b&c?@example.com"
    assert parse_qs(uri.query) == {"secret": [shown.secret], "issuer": ["auth.example.com"]}


def test_the_picture_shows_the_uri_and_has_no_active_content():
    shown = present(SECRET, email="ada@example.com", host="auth.example.com")
    svg = ET.fromstring(shown.qr_svg)
    assert {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in svg.iter()} == {"svg", "g", "path"}
    assert {name for element in svg.iter() for name in element.attrib} <= {
        "width",
        "height",
        "transform",
        "stroke",
        "fill",
        "d",
    }
    assert modules_drawn(svg) == modules_of(segno.make_qr(shown.otpauth_uri, error="m"))


def modules_of(qr):
    return {(x, y) for y, row in enumerate(qr.matrix_iter(border=4)) for x, is_dark in enumerate(row) if is_dark}


def modules_drawn(svg):
    """The dark squares. The stroked path moves (m, M) and draws to the right (h), line by line."""
    (path,) = [element for element in svg.iter() if element.get("stroke")]
    x, y, found = 0.0, 0.0, set()
    for command, numbers in re.findall(r"([Mmh])([-0-9. ]+)", path.attrib["d"]):
        values = [float(number) for number in re.findall(r"-?[0-9.]+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            found |= {(int(x) + step, int(y)) for step in range(int(values[0]))}
            x += values[0]
    return found


def test_recovery_codes_have_120_bits_in_groups_of_four():
    codes = {new_recovery_code(SystemRandom()) for _ in range(200)}
    assert len(codes) == 200
    assert all(re.fullmatch(r"[a-z2-7]{4}(-[a-z2-7]{4}){5}", code) for code in codes)


@pytest.mark.parametrize(
    "spelling",
    [
        "mfrg-gzdf-mztw-q2lk-nnwg-23tp",
        "MFRG-GZDF-MZTW-Q2LK-NNWG-23TP",
        "mfrggzdfmztwq2lknnwg23tp",
        " mfrg gzdf mztw q2lk nnwg 23tp ",
        "Mfrg--Gzdf  mztwq2lk-nnwg 23tp-",
        "mfrg\u00a0gzdfmztwq2lknnwg23tp",
        "mfrg\u2010gzdf\u2010mztw\u2010q2lk\u2010nnwg\u201023tp",
        "mfrg-gzdf-mztw-q2lk-nnwg-23tp\n",
    ],
)
def test_case_dashes_and_spaces_of_a_recovery_code_are_ignored(spelling):
    assert recovery_code_hash("acc_1", spelling) == recovery_code_hash("acc_1", "mfrggzdfmztwq2lknnwg23tp") is not None


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "mfrg-gzdf-mztw-q2lk-nnwg-23t",
        "mfrg-gzdf-mztw-q2lk-nnwg-23tpa",
        "mfrg_gzdf_mztw_q2lk_nnwg_23tp",
        "mfrg-gzdf-mztw-q2lk-nnwg-23t0",
        "mfrg-gzdf-mztw-q2l\u212a-nnwg-23tp",
        "mfrg-gzdf-mztw-q2lk-nnwg-23t\uff50",
    ],
)
def test_other_texts_are_not_recovery_codes(spelling):
    assert recovery_code_hash("acc_1", spelling) is None


def test_the_same_code_has_a_different_hash_for_each_account():
    code = "mfrggzdfmztwq2lknnwg23tp"
    assert recovery_code_hash("acc_1", code) != recovery_code_hash("acc_2", code)
