"""Rows and hot counters: the only folder that knows sqlite3, asyncpg and redis.

Owns the ports `Database` and `Hot`, the engines behind them, migrations and the change feed. Knows nothing of
accounts, tokens or HTTP: slices bring their own SQL.
"""
