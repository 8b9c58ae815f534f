"""Assembly: `Ostiary`, the public object, and the only place that puts parts together.

``slices`` lists the slices, ``assembly`` opens the parts in order, ``life`` decides when and on which event loop they
are open, ``loop_thread`` serves synchronous callers. Everything else is handed what it needs.
"""

from ostiary.app.ostiary import Ostiary

__all__ = ["Ostiary"]
