"""Keeps a collection in view: lists it, watches it, and lists it again whenever the watch has missed something.

For Jobs and Pods, of which there are many events for each HybridJob; Kopf watches the project's own kinds. The cost of
an event here is a tenth of what it is there.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from hybridjob.cluster.api_client import ApiError, KubernetesApi, Object
from hybridjob.cluster.kinds import Kind

_RETRY_SECONDS = (0.2, 5.0)

log = logging.getLogger(__name__)


class Informer:
    """One collection. `on_list` gets all of it, `on_event` each change after that."""

    def __init__(
        self,
        api: KubernetesApi,
        kind: Kind,
        namespace: str | None,
        selector: str,
        on_list: Callable[[list[Object]], Any],
        on_event: Callable[[str, Object], Any],
    ) -> None:
        self._api, self._kind, self._namespace, self._selector = api, kind, namespace, selector
        self._on_list, self._on_event = on_list, on_event
        self._version = ""

    async def list(self) -> None:
        """Bring all of the collection. What is not in it is gone, whether or not anyone said so."""
        items: list[Object] = []
        async for page in self._api.pages(self._kind, self._namespace, self._selector):
            items += page.items
            self._version = page.resource_version
        self._on_list(items)

    async def run(self) -> None:
        """Watch until cancelled."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self.list()
                await self._watch()
                failures = 0
            except ApiError as error:
                if error.is_gone:
                    log.info("lists %s again: %s", self._kind.plural, error)
                    self._version = ""
                    continue
                failures += 1
                seconds = min(_RETRY_SECONDS[1], _RETRY_SECONDS[0] * 2**failures)
                log.warning("the watch of %s is resumed: %s", self._kind.plural, error)
                await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311 — jitter

    async def _watch(self) -> None:
        async for event, item in self._api.watch(self._kind, self._namespace, self._selector, self._version):
            self._version = item["metadata"]["resourceVersion"]
            if event != "BOOKMARK":
                self._on_event(event, item)
