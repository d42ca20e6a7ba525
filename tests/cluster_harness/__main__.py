"""`python -m tests.cluster_harness up|down|status|exec|load|kueue`."""

import argparse
import os
import sys

from tests.cluster_harness import images, kueue
from tests.cluster_harness.build import KUBERNETES
from tests.cluster_harness.commands import HarnessError
from tests.cluster_harness.native import NativeCluster
from tests.cluster_harness.selection import select


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster_harness", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--kubernetes", choices=KUBERNETES, help="the native cluster's version; each is a cluster of its own"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", parents=[common], help="start the cluster and wait until its node is Ready")
    commands.add_parser("down", parents=[common], help="stop it and leave no trace but the caches")
    commands.add_parser("status", parents=[common], help="say whether it runs")
    inside = commands.add_parser(
        "exec", parents=[common], help="run a command in its network, with kubectl, helm and KUBECONFIG set"
    )
    inside.add_argument("arguments", nargs=argparse.REMAINDER)
    load = commands.add_parser("load", parents=[common], help="build an image and put it on the node")
    load.add_argument("images", nargs="*", choices=[*images.IMAGES, []], metavar="IMAGE", help="default: all")
    commands.add_parser("kueue", parents=[common], help="start Kueue on the native cluster")
    options = parser.parse_args()
    try:
        return _run(options)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    cluster = select(options.kubernetes)
    match options.command:
        case "up":
            cluster.up()
            print(f"ready: KUBECONFIG={cluster.kubeconfig}; to reach it: {' '.join(cluster.inside('…'))}")
        case "down":
            cluster.down()
        case "status":
            ready = cluster.is_ready()
            print("ready" if ready else "not running")
            return 0 if ready else 1
        case "exec":
            # In this process's place: signals and the terminal are the command's.
            command = cluster.inside(*options.arguments)
            os.execvpe(command[0], command, cluster.environment())  # noqa: S606
        case "load":
            for name in options.images or images.IMAGES:
                print(cluster.load(name))
        case "kueue":
            if not isinstance(cluster, NativeCluster):
                raise HarnessError("Kueue is started on the native cluster only")
            kueue.start(cluster)
    return 0


if __name__ == "__main__":
    os.chdir(images.REPOSITORY)
    sys.exit(main())
