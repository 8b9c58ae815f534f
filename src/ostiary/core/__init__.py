"""What every installation has: accounts, sign-in, sessions, tokens, audit, mail, and the plug for optional slices.

Inside: ``sign_in > tokens > sessions > accounts > audit > mail > plug``; arrows point right only.
"""
