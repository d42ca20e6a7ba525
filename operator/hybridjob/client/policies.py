"""A cluster's policies: what their status says, and their ledgers compared with the jobs."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from pydantic import ValidationError

from hybridjob.api.errors import sentence
from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.client.cluster import in_words
from hybridjob.client.errors import ClientError
from hybridjob.client.user_api import UserApi
from hybridjob.cluster.api_client import ApiError
from hybridjob.cluster.kinds import CONFIG_MAPS, HYBRID_JOBS, POLICIES, Kind
from hybridjob.cluster.ledger import DOCUMENT_KEY, ledger_name
from hybridjob.engine.accounts import Key
from hybridjob.engine.audit import Finding, audit
from hybridjob.engine.ledger_document import LedgerDocumentError, Written, dump, load
from hybridjob.engine.unknown_outcomes import NotUnknownError, settle_by_hand

_Resource = TypeVar("_Resource", HybridJob, QuantumBackendPolicy)
_TRIES = 8


async def read_policies(context: str | None, name: str | None = None) -> list[QuantumBackendPolicy]:
    """All policies of a cluster that parse, or the one of that name. Raises ClientError."""
    with in_words("the policies"):
        api = await UserApi.connect(context)
        try:
            if name is not None:
                return await _read_policy(api, name)
            return await _read(api, POLICIES, QuantumBackendPolicy)
        finally:
            await api.close()


async def _read_policy(api: UserApi, name: str) -> list[QuantumBackendPolicy]:
    try:
        found = await api.get(POLICIES, None, name)
    except ApiError as error:
        if error.status == 404:
            return []
        raise
    try:
        return [QuantumBackendPolicy.model_validate_json(json.dumps(found))]
    except ValidationError as error:
        raise ClientError(f"policy {name} is invalid: {sentence(error, QuantumBackendPolicy)}") from error


async def audit_policy(context: str | None, operator_namespace: str, name: str) -> list[Finding]:
    """What does not agree between a policy's ledger, which is read first, and the jobs. Raises ClientError.

    While jobs run, what has changed between the two readings can look like a difference: audit again.
    """
    with in_words(f"the ledger of policy {name}"):
        api = await UserApi.connect(context)
        try:
            found = await api.get(CONFIG_MAPS, operator_namespace, ledger_name(name))
            book = _read_ledger(found["data"][DOCUMENT_KEY]).book
            jobs = await _read(api, HYBRID_JOBS, HybridJob)
        finally:
            await api.close()
    held = [job for job in jobs if job.status is not None and job.status.policy == name]
    return audit(book, held, complete=False)  # a cluster's jobs are deleted as time goes by


async def settle_outcome(context: str | None, operator_namespace: str, name: str, key: Key, cost: Decimal) -> None:
    """Charge what somebody found out that an attempt cost. Raises ClientError.

    The ledger is written as the operator left it, with its resource version: the operator finds what has changed, and
    goes on from there.
    """
    with in_words(f"the ledger of policy {name}"):
        api = await UserApi.connect(context)
        try:
            for _ in range(_TRIES):
                found = await api.get(CONFIG_MAPS, operator_namespace, ledger_name(name))
                written = _read_ledger(found["data"][DOCUMENT_KEY])
                try:
                    book = settle_by_hand(written.book, key, cost, datetime.now(UTC))
                except NotUnknownError as error:
                    raise ClientError(str(error)) from error
                found["data"][DOCUMENT_KEY] = dump(written.model_copy(update={"book": book}))
                try:
                    await api.replace(CONFIG_MAPS, operator_namespace, ledger_name(name), found)
                    return
                except ApiError as error:
                    if error.status != 409:
                        raise
        finally:
            await api.close()
    raise ClientError(f"the ledger of policy {name} changed each time that it was to be written: try again")


def _read_ledger(document: str) -> Written:
    try:
        return load(document)
    except LedgerDocumentError as error:
        raise ClientError(str(error)) from error


async def _read(api: UserApi, kind: Kind, model: type[_Resource]) -> list[_Resource]:
    found = []
    async for page in api.pages(kind):
        for item in page.items:
            try:
                found.append(model.model_validate_json(json.dumps(item)))
            except ValidationError:
                continue  # its own status says what is wrong with it
    return found
