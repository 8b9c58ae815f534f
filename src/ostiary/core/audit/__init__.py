"""Audit events: who did what to which account. Each is written in the same transaction as the change that it records.

Owns the table ``audit_events``. Does not depend on the meaning of the events.
"""

from ostiary.core.plug import Feature
from ostiary.store.migrations import Migrations

feature = Feature(name="audit", migrations=Migrations.of("audit", package=__name__))
