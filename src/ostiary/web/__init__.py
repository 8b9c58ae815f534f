"""The HTTP edge: routes in, ASGI out.

Owns everything that is HTTP and not a decision: reading bodies, credentials, sources and cookies, the headers of every
answer, problem details, the OpenAPI document, and the lifespan around a wrapped app. Knows `Route` and what surrounds a
call, and no slice, no SQL and no token.
"""

from ostiary.web.app import Application, application
from ostiary.web.middleware import Embedded
from ostiary.web.openapi import document
from ostiary.web.routes import with_own
from ostiary.web.settings import WebSettings

__all__ = ["Application", "Embedded", "WebSettings", "application", "document", "with_own"]
