"""The state directory as the commands see it: its errors become exit statuses."""

from pathlib import Path

from hybridjob.cli.options import BadInputError, NotFoundError
from hybridjob.local.store import StateError, Store, StoredJob


def open_store(state: Path) -> Store:
    try:
        return Store(state)
    except StateError as error:
        raise BadInputError(str(error)) from error


def find_job(store: Store, name: str, namespace: str) -> StoredJob:
    try:
        return store.find(name, namespace)
    except StateError as error:
        raise NotFoundError(str(error)) from error
