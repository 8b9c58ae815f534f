"""What every installation has: accounts, sign-in, sessions, tokens, audit, mail, and the plug for optional slices.

Inside: ``sign_in > tokens > sessions > accounts > audit > mail > revocations > plug``; arrows point right only.
"""
