"""The entry point of the program: prepare the process before large modules are imported, then run the command."""

import gc
import os
import sys
from contextlib import suppress

ALLOCATOR_OPTIONS = "background_thread:true,dirty_decay_ms:10000,muzzy_decay_ms:10000"
"""Make the allocator of Polars (jemalloc) return unused memory after ten seconds, not after half a second.

The next block of a log soon needs the memory again, and returning it in between makes an import a tenth slower."""


def start() -> None:
    """Run the command that the process was started with, and exit with its status.

    The garbage collector ignores everything that is imported. The process exits without finalizing the interpreter,
    which would take 0.3 s; a command has closed its files by then.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", ALLOCATOR_OPTIONS)
    gc.disable()
    from avowal.cli.main import run

    gc.freeze()
    gc.enable()
    try:
        run()
    except SystemExit as error:
        if not isinstance(error.code, int):
            raise
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # `run` has reported the error, or the stream is closed
                stream.flush()
        os._exit(error.code)
    finally:
        gc.unfreeze()
