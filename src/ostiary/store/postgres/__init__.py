"""PostgreSQL as a `Database`, by asyncpg.

``driver`` finds asyncpg, ``failures`` explains its errors, ``connections`` keeps a pool of connections, ``transaction``
runs one body, ``listener`` hears NOTIFY, ``database`` puts them behind the port.
"""
