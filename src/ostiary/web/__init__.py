"""The HTTP edge: turns routes into an ASGI app.

Owns HTTP and decides nothing: request bodies, credentials, sources and cookies, the headers of every answer, problem
details, the OpenAPI document, and the lifespan around a wrapped app. It knows `Route` and `Ambient`, but no slice, no
SQL and no contents of tokens.
"""

from ostiary.web.app import Application, application
from ostiary.web.middleware import Embedded
from ostiary.web.openapi import document
from ostiary.web.routes import with_own
from ostiary.web.settings import WebSettings

__all__ = ["Application", "Embedded", "WebSettings", "application", "document", "with_own"]
