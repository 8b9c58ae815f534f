"""Status lists: one bit for the access tokens of a session and epoch, so that any verifier can see revocations.

Owns the tables ``status_lists`` and ``status_slots``. Nothing is revoked here: the bits are derived from the change
feed.
"""
