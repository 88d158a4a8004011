"""What the terminal starts: it sets the process up before anything large is imported, and then runs the command."""

import gc
import os
import sys
from contextlib import suppress

ALLOCATOR_OPTIONS = "background_thread:true,dirty_decay_ms:10000,muzzy_decay_ms:10000"
"""How Polars' allocator (jemalloc) gives memory back: after ten seconds, not half of one. Blocks of a log follow on
each other, and giving back what the next one takes again costs a tenth of an import."""


def start() -> None:
    """Run the command of the terminal.

    What is imported stays: the collector of garbage never looks through it. What a command opened it has closed when it
    ends: the interpreter is not taken apart piece by piece, which takes 0.3 s.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", ALLOCATOR_OPTIONS)
    gc.disable()
    from avowal.cli.main import run

    gc.freeze()
    gc.enable()
    try:
        run()
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        for written in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # `run` told what could not be written; or it was closed
                written.flush()
        os._exit(ended.code)
    finally:
        gc.unfreeze()
