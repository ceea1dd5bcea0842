"""Runs the suites against real software; the last line counts the checks."""

import argparse
import sys

import abuse
import clients
import collector
import conventions
import dashboards
import delivery
import differential
import downgrades
import dynamodb
import etcd
import exchanges
import ext_proc
import faults
import frames
import image
import jsonserver
import kubernetes
import messages
import mirror
import openapi
import packages
import postgres
import replay
import rpc
import scan
import scrape
import shop
import soak
import stacks
import static
import sweep
import switch
import websocket
import yoga
from harness import Checks, Tools

SUITES = {
    suite.__name__: suite.run
    for suite in (
        differential, dynamodb, jsonserver, postgres, static, exchanges, stacks, clients, abuse, downgrades, frames, faults, soak,
        messages, shop, etcd, rpc, websocket, scan, collector, conventions, scrape, dashboards, openapi, yoga, delivery, kubernetes, image,
        packages, mirror, ext_proc, sweep, replay, switch,
    )  # fmt: skip
}

# These have more than CI has time for.
LONGER = {"exchanges", "faults", "soak", "rpc", "websocket", "stacks", "image", "packages", "sweep", "replay", "switch"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--twinread", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], default=[])
    parser.add_argument("--all", action="store_true", help="every size, fault and peer")
    arguments = parser.parse_args()

    checks = Checks()
    tools = Tools(arguments.scratch)
    for name in arguments.suites or SUITES:
        with checks.suite(name):
            more = {"is_all": arguments.all} if name in LONGER else {}
            SUITES[name](checks, tools, arguments.twinread, **more)
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(1 if checks.failed or not checks.passed else 0)


main()
