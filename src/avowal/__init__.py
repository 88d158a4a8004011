"""Avowal makes a website do what its privacy policy says."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Return `__version__`, which takes a while to find and is rarely asked for."""
    if name != "__version__":
        raise AttributeError(f"module `avowal` has no attribute `{name}`")
    from importlib.metadata import version  # the same

    return version("avowal")
