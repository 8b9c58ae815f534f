"""The life of the signing keys: published, then signing, then only verifying, then gone.

``model`` says what is due and when, ``service`` and ``steps`` do it, ``queries`` has the rows, ``sealing`` what stands
in them, ``held`` is what this process signs and verifies with, ``keeper`` keeps that and the rows up to date. Knows
keys; knows nothing of what is signed.
"""
