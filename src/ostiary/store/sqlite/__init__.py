"""SQLite as a `Database`: one file, several processes, durable commits that many callers share.

``connection`` opens connections and translates errors, ``statement`` runs one statement, ``session`` begins and commits
in the writer's thread, ``transaction`` runs the statements of one body, ``writer`` collects bodies into batches,
``reading`` reads outside transactions, and ``database`` implements the port.
"""
