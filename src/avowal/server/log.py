"""The server's log: one JSON object a line, which never holds what somebody sent."""

import json
import logging
import traceback
from datetime import UTC, datetime


class JsonLogFormatter(logging.Formatter):
    """Formats records as JSON, without the texts of errors: these might hold what somebody sent."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record: our own message, or the place in the code of another library's."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage()
            if record.name.startswith("avowal")
            else f"{record.name}:{record.lineno}",
        }
        if record.exc_info and record.exc_info[0]:
            fields["error"] = record.exc_info[0].__name__
            fields["where"] = [
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
                for frame in traceback.extract_tb(record.exc_info[2])[-5:]
            ]
        return json.dumps(fields)


def configure_logging() -> None:
    """Send all logs to standard error as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLogFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
