"""What the operator and the solvers share: a task goes in, a verdict and a payload come out.

Nothing here imports more than the standard library and pydantic, so that every solver image and the operator can
afford it. Neither side imports the other: this package is the whole of what they agree on.

* `problems`   the JSON and text shapes of every problem type, and what must hold of them
* `task`       what a solver is asked to do (one JSON file)
* `verdict`    what it answers (at most 4,096 bytes) and the payload beside it
* `exit_codes` what kind of failure a solver process ended with
* `sdks`       which packages an SDK's backends need
* `progress`   the lines that a solver prints while it works
* `files`      how these files are written, so that a half-written one can never be read as a result
"""
