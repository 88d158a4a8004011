"""The terminal's door."""

import os

ALLOCATOR = "background_thread:true,dirty_decay_ms:10000,muzzy_decay_ms:10000"
"""How Polars' allocator (jemalloc) gives memory back: after ten seconds, not half of one. Blocks of a log follow on
each other, and giving back what the next one takes again costs a tenth of an import."""

os.environ.setdefault("_RJEM_MALLOC_CONF", ALLOCATOR)  # read when Polars is loaded
