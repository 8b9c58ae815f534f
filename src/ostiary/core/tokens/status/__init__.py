"""Status lists: one bit for the access tokens of a session and epoch, so that any verifier can see what was revoked.

Owns the tables ``status_lists`` and ``status_slots``. Nothing here revokes: bits follow from the change feed.
"""
