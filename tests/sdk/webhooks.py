"""The library of the Standard Webhooks project, as it is: signs what is sent to a gateway, and judges what
a gateway sends. Reads one JSON document from its standard input, prints its checks as another."""

import datetime
import json
import sys

from standardwebhooks import Webhook

ASKED = json.load(sys.stdin)
CHECKS = []
SIGNED = {}


def check(name, ok, detail=""):
    CHECKS.append({"name": name, "ok": bool(ok), "detail": str(detail)})


def published():
    """The vector of the specification."""
    hook = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.datetime.fromtimestamp(1614265330, datetime.timezone.utc)
    signature = hook.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    check("the published vector", signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature)


published()
hook = Webhook(ASKED["secret"])
for message in ASKED.get("sign", []):
    now = datetime.datetime.now(datetime.timezone.utc)
    SIGNED[message["id"]] = {
        "timestamp": str(int(now.timestamp())),
        "signature": hook.sign(message["id"], now, message["body"]),
    }
for message in ASKED.get("verify", []):
    try:
        hook.verify(message["body"], message["headers"])
        check("what was sent is signed", True)
    except Exception as err:  # noqa: BLE001 - whatever it is, it is not believed
        check("what was sent is signed", False, err)
    try:
        hook.verify(message["body"] + " ", message["headers"])
        check("something else is not", False)
    except Exception:  # noqa: BLE001
        check("something else is not", True)
print(json.dumps({"checks": CHECKS, "signed": SIGNED}))
