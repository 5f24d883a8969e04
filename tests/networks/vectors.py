"""Signatures as the vendors' own code makes or judges them, printed as JSON: what is good, and what is
not, each with what the vendor's code says of it."""

import datetime
import json

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey
from slack_sdk.signature import Clock, SignatureVerifier
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

BODIES = ["", "{}", '{"text":"caf\\u00e9 \\ud83d\\ude00"}', '{"text":"café 😀"}', "a=b&c=%2Fd+e", "x" * 5000, '{"a":\r\n 1}\n']
NOW = 1_700_000_000
APART = [0, 299, 300, 301, -299, -300, -301, 86_400]


class At(Clock):
    def now(self):
        return NOW


def altered(text):
    """The same with its last character but one changed to another of its kind."""
    return text[:-2] + ("0" if text[-2] != "0" else "1") + text[-1]


def slack():
    secret, other = "8f742231b10e8888abcd99yyyzzz85a5", "8f742231b10e8888abcd99yyyzzz85a6"
    judge = SignatureVerifier(secret, At())
    for body in BODIES:
        for apart in APART:
            time = str(NOW + apart)
            signed = judge.generate_signature(timestamp=time, body=body)
            wrong = SignatureVerifier(other).generate_signature(timestamp=time, body=body)
            for signature in [signed, wrong, altered(signed), signed.removeprefix("v0="), ""]:
                good = judge.is_valid(body, time, signature)
                headers = {"x-slack-request-timestamp": time, "x-slack-signature": signature}
                yield {"scheme": "slack", "secret": secret, "now": NOW, "headers": headers, "body": body, "good": bool(good)}


def discord():
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    other = SigningKey(bytes(32))
    for body in BODIES:
        for apart in APART:
            time = str(NOW + apart)
            message = (time + body).encode()
            signed, wrong = key.sign(message).signature, other.sign(message).signature
            for signature in [signed.hex(), signed.hex().upper(), wrong.hex(), altered(signed.hex()), signed.hex()[:-2]]:
                try:
                    key.verify_key.verify(message, bytes.fromhex(signature))
                    good = True
                except (BadSignatureError, ValueError):
                    good = False
                headers = {"x-signature-timestamp": time, "x-signature-ed25519": signature}
                # The library knows no time, and so judges none: whoever holds it against a window does.
                yield {"scheme": "discord", "secret": key.verify_key.encode().hex(), "now": NOW, "headers": headers, "body": body, "good": good, "apart": apart}


def standard():
    secret, other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"
    judge, stranger = Webhook(secret), Webhook(other)
    real = int(datetime.datetime.now(tz=datetime.timezone.utc).timestamp())
    for body in BODIES:
        for apart in APART:
            # It looks at the clock itself: at a window's edge the answer may be either by the time it does.
            if abs(apart) in (300, 301):
                continue
            when = datetime.datetime.fromtimestamp(real + apart, tz=datetime.timezone.utc)
            signed, wrong = judge.sign("msg_1", when, body), stranger.sign("msg_1", when, body)
            offered = [signed, wrong, f"{wrong} {signed}", f"v2,aaaa {signed}", signed.removeprefix("v1,"), "v1,"]
            for signature in offered:
                headers = {"webhook-id": "msg_1", "webhook-timestamp": str(real + apart), "webhook-signature": signature}
                try:
                    judge.verify(body, headers)
                    good = True
                except json.JSONDecodeError:
                    # It reads the body as JSON only after it has found the signature good.
                    good = True
                except (WebhookVerificationError, ValueError):
                    # The second where a signature is not even of the form.
                    good = False
                yield {"scheme": "standard", "secret": secret, "now": real, "headers": headers, "body": body, "good": good}


print(json.dumps([*slack(), *discord(), *standard()]))
