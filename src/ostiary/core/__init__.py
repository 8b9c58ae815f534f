"""The parts of every installation: accounts, sign-in, sessions, tokens, audit, mail, and the plug for optional slices.

Import order: ``sign_in > tokens > sessions > accounts > audit > mail > revocations > plug``. Each may import only what
is to its right.
"""
