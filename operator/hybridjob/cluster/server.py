"""The operator's own HTTP: probes and metrics. The standby serves it, too: it is alive, and ready to take over."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST


async def serve(
    host: str, port: int, registry: CollectorRegistry, is_alive: Callable[[], bool], is_ready: Callable[[], bool]
) -> web.AppRunner:
    """Serve until the runner is cleaned up."""

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok") if is_alive() else web.Response(status=503, text="stuck")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="not ready")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/healthz", health), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
