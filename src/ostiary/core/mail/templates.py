"""Templates in the ``pages/`` folder of a slice: mails as plain text, pages as HTML with everything escaped."""

import re
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from ostiary.core.plug import Mail

_SUBJECT: Final = "Subject: "

_NO_PLAIN_WORDS: Final = re.compile(r"[^\w '()-]+")


def render_mail(package: str, name: str, *, to: str, **values: str | int) -> Mail:
    """Renders a mail. The first line of the template is ``Subject: …``, followed by an empty line and the text."""
    text = _plain(package).get_template(name).render(values)
    subject, _, body = text.partition("\n\n")
    return Mail(to=to, subject=subject.removeprefix(_SUBJECT), text=body)


def plain_words(text: str) -> str:
    """Text from a client without the characters that could form a web or mail address. Mail programs turn those into
    links, and our mails must not contain an attacker's links (phishing)."""
    return " ".join(_NO_PLAIN_WORDS.sub(" ", text).split())


def render_page(package: str, name: str, **values: str) -> str:
    return _escaping(package).get_template(name).render(values)


@cache
def _plain(package: str) -> Environment:
    # text/plain: with escaping, readers would see HTML entities
    return Environment(loader=PackageLoader(package, "pages"), undefined=StrictUndefined, autoescape=False)  # noqa: S701


@cache
def _escaping(package: str) -> Environment:
    return Environment(loader=PackageLoader(package, "pages"), undefined=StrictUndefined, autoescape=True)
