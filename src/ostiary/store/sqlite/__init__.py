"""SQLite as a `Database`: one file, several processes, durable commits that many callers share.

``connection`` opens and explains, ``statement`` runs, ``session`` begins and commits in the writer's thread, ``writer``
collects bodies into batches, ``reading`` answers questions, ``database`` puts them behind the port.
"""
