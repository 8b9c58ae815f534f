"""PostgreSQL as a `Database`, with asyncpg.

``driver`` imports asyncpg, ``failures`` translates its errors, ``connections`` keeps a pool, ``transaction`` runs the
statements of one body, ``job`` begins and commits it, ``listener`` receives NOTIFY, ``database`` implements the port.
"""
