"""Templates of a slice's ``pages/`` folder: mails as plain text, pages as HTML with everything escaped."""

import re
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from ostiary.core.plug import Mail

_SUBJECT: Final = "Subject: "

_NO_PLAIN_WORDS: Final = re.compile(r"[^\w '()-]+")


def render_mail(package: str, name: str, *, to: str, **values: str | int) -> Mail:
    """The template's first line is ``Subject: …``, then an empty line, then the text."""
    text = _plain(package).get_template(name).render(values)
    subject, _, body = text.partition("\n\n")
    return Mail(to=to, subject=subject.removeprefix(_SUBJECT), text=body)


def plain_words(text: str) -> str:
    """A caller's own words without what could make an address of a site or a person of them, which mail programs turn
    into links: our mail must not carry a thief's (phishing)."""
    return " ".join(_NO_PLAIN_WORDS.sub(" ", text).split())


def render_page(package: str, name: str, **values: str) -> str:
    return _escaping(package).get_template(name).render(values)


@cache
def _plain(package: str) -> Environment:
    # text/plain: escaping would only show entities to the reader
    return Environment(loader=PackageLoader(package, "pages"), undefined=StrictUndefined, autoescape=False)  # noqa: S701


@cache
def _escaping(package: str) -> Environment:
    return Environment(loader=PackageLoader(package, "pages"), undefined=StrictUndefined, autoescape=True)
