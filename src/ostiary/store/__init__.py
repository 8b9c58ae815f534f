"""Rows and hot counters. This is the only folder that uses sqlite3, asyncpg and redis.

It owns the ports `Database` and `Hot`, the engines behind them, migrations and the change feed. It must not know about
accounts, tokens or HTTP. Slices bring their own SQL.
"""
