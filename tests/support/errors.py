"""Expected errors, which tests compare by their code."""

import pytest

from avowal.errors import AvowalError


def raises_code(code: str) -> pytest.RaisesExc[AvowalError]:
    """Expect an error with a code, as `pytest.raises` does."""

    def has_code(error: AvowalError) -> bool:
        assert error.code == code, error
        return True

    return pytest.raises(AvowalError, check=has_code)
