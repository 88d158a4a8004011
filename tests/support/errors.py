"""How tests expect errors: by their code, as programs tell them apart."""

import pytest

from avowal.errors import AvowalError


def raises_code(code: str) -> pytest.RaisesExc[AvowalError]:
    """Expect an error with a code; used as `pytest.raises` is."""

    def has_code(error: AvowalError) -> bool:
        assert error.code == code, error
        return True

    return pytest.raises(AvowalError, check=has_code)
