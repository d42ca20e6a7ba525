"""Structured logs: one JSON object per line, with whatever names the job it is about."""

import json
import logging
import sys
from datetime import UTC, datetime

FIELDS = ("job", "uid", "correlation_id", "state", "reason", "backend", "policy", "identity")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str, as_json: bool) -> None:
    """Log to standard error. Kopf and the client say little: what they would say of each event, nobody reads."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else plain)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("kopf", "asyncio", "aiohttp.access"):
        logging.getLogger(name).setLevel("WARNING")
