"""Audit events: who did what to which account, written in the transaction of what they record.

Owns the table ``audit_events``. Knows nothing of what the events mean.
"""

from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(name="audit", migrations=Migrations.of("audit", package=__name__))
