"""HybridJob from Python, the same on a laptop and on a cluster:

    from hybridjob.client import Client

    answer = Client().submit("job.yaml").result(timeout=600)

* `client`      what callers use: `Client`, and the handle `Job`
* `errors`      all that it raises beside ManifestError and TimeoutError
* `jobs`        the protocol that both worlds fill; the command line uses it, too
* `local`       the laptop
* `cluster`     Kubernetes, through `user_api`
* `worlds`      which of them, and how it is reached
* `loop_thread` an event loop beside the caller's own
"""

from hybridjob.api.errors import ManifestError
from hybridjob.client.client import Client, Job
from hybridjob.client.errors import (
    ClientError,
    ClusterError,
    JobDeletedError,
    JobEndedError,
    JobExistsError,
    JobFailedError,
    NoSuchJobError,
    PayloadError,
)

__all__ = [
    "Client",
    "ClientError",
    "ClusterError",
    "Job",
    "JobDeletedError",
    "JobEndedError",
    "JobExistsError",
    "JobFailedError",
    "ManifestError",
    "NoSuchJobError",
    "PayloadError",
]
