"""Numbers in the paths of routes. They have at most 9 digits, so that none is too long to be read or stored."""

from starlette.convertors import Convertor, register_url_convertor


class NumberConvertor(Convertor[int]):
    """Converts a part of a path to a number."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return the text of a number."""
        return str(value)


NUMBER = "number"
"""The name of the convertor in the path of a route."""

register_url_convertor(NUMBER, NumberConvertor())
