"""What the scripts have in common: they say how far they are, wait to be told to go on, and report
each check at the end."""

import json
import sys

CHECKS = []
ARGS = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}


def check(name, ok, detail=None):
    CHECKS.append({"name": name, "ok": bool(ok), "detail": repr(detail)})


def say(step, **more):
    print(json.dumps({"step": step, **more}), flush=True)


def step(name, **more):
    """Says how far it is, and waits for what it is told."""
    say(name, **more)
    return json.loads(sys.stdin.readline())


def done():
    say("done", checks=CHECKS)
