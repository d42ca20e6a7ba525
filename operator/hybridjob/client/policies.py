"""A cluster's policies: what their status says, and their ledgers compared with the jobs."""

import json
from typing import TypeVar

from pydantic import ValidationError

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.policy import QuantumBackendPolicy
from hybridjob.client.cluster import in_words
from hybridjob.client.errors import ClientError
from hybridjob.client.user_api import UserApi
from hybridjob.cluster.kinds import CONFIG_MAPS, HYBRID_JOBS, POLICIES, Kind
from hybridjob.cluster.ledger import DOCUMENT_KEY, ledger_name
from hybridjob.engine.audit import Finding, audit
from hybridjob.engine.ledger import Book
from hybridjob.engine.ledger_document import LedgerDocumentError, load

_Resource = TypeVar("_Resource", HybridJob, QuantumBackendPolicy)


async def read_policies(context: str | None) -> list[QuantumBackendPolicy]:
    """All policies of a cluster that parse. Raises ClientError."""
    with in_words("the policies"):
        api = await UserApi.connect(context)
        try:
            return await _read(api, POLICIES, QuantumBackendPolicy)
        finally:
            await api.close()


async def audit_policy(context: str | None, operator_namespace: str, name: str) -> list[Finding]:
    """What does not agree between a policy's ledger, which is read first, and the jobs. Raises ClientError.

    While jobs run, what has changed between the two readings can look like a difference: audit again.
    """
    with in_words(f"the ledger of policy {name}"):
        api = await UserApi.connect(context)
        try:
            found = await api.get(CONFIG_MAPS, operator_namespace, ledger_name(name))
            book = _book(found["data"][DOCUMENT_KEY])
            jobs = await _read(api, HYBRID_JOBS, HybridJob)
        finally:
            await api.close()
    held = [job for job in jobs if job.status is not None and job.status.policy == name]
    return audit(book, held, complete=False)  # a cluster's jobs are deleted as time goes by


def _book(document: str) -> Book:
    try:
        return load(document).book
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
