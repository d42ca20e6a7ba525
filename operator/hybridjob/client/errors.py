"""What can go wrong beside wrong input (ManifestError) and impatience (TimeoutError)."""

from hybridjob.api.hybridjob import HybridJob
from hybridjob.api.status import HybridJobStatus


class ClientError(Exception):
    """The message names the object, the cause and the next step."""


class NoSuchJobError(ClientError):
    """There is no job of that name."""


class JobDeletedError(NoSuchJobError):
    """The job was deleted by someone; another one may have its name."""


class JobExistsError(ClientError):
    """The name is taken."""


class JobEndedError(ClientError):
    """The job has ended, and what was asked for needs one that has not."""


class PayloadError(ClientError):
    """There is no payload, or it is not there any more, or it is not what the solver wrote."""


class JobFailedError(ClientError):
    """The job ended without an answer.

    `state` is Failed or Cancelled, `reason` one word of a closed list, `message` one sentence, and `job` the object.
    """

    def __init__(self, job: HybridJob) -> None:
        status = job.status or HybridJobStatus()
        super().__init__(f"job {job.metadata.name}: {status.state}: {status.reason}: {status.message}")
        self.job = job
        self.state = status.state
        self.reason = status.reason
        self.message = status.message


class ClusterError(ClientError):
    """The cluster refused something, or could not be reached: then `status` is 0, and else that of its answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
