"""`python -m tests.cluster_harness up|down|status|exec|load`."""

import argparse
import os
import subprocess
import sys

from tests.cluster_harness import images
from tests.cluster_harness.build import BuildError
from tests.cluster_harness.native import NativeCluster, why_impossible


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster_harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster and wait until its node is Ready")
    commands.add_parser("down", help="stop it and leave no trace but the caches")
    commands.add_parser("status", help="say whether it runs")
    inside = commands.add_parser("exec", help="run a command in its network, with kubectl, helm and KUBECONFIG set")
    inside.add_argument("arguments", nargs=argparse.REMAINDER)
    load = commands.add_parser("load", help="build an image and put it on the node")
    load.add_argument("images", nargs="*", choices=[*images.IMAGES, []], metavar="IMAGE", help="default: all")
    options = parser.parse_args()

    impossible = why_impossible()
    if impossible is not None:
        print(impossible, file=sys.stderr)
        return 2
    cluster = NativeCluster()
    try:
        match options.command:
            case "up":
                cluster.up()
                print(f"KUBECONFIG={cluster.kubeconfig} (inside network namespace {cluster.name})")
            case "down":
                cluster.down()
            case "status":
                ready = cluster.is_ready()
                print("ready" if ready else "not running")
                return 0 if ready else 1
            case "exec":
                return subprocess.call(cluster.inside(*options.arguments), env=cluster.environment())
            case "load":
                for name in options.images or images.IMAGES:
                    cluster.load(images.build(name))
                    print(images.image_name(name))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    os.chdir(images.REPOSITORY)
    sys.exit(main())
