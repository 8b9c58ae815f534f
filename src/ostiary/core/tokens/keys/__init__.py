"""The life cycle of the signing keys: published, then signing, then only verifying, then removed.

``model`` decides what is due and when. ``service`` and ``steps`` do it. ``queries`` reads and writes the rows, and
``sealing`` encrypts their content. ``held`` has the keys that this process signs and verifies with. ``keeper`` keeps
those keys and the rows up to date. This folder handles keys only and does not depend on what is signed.
"""
