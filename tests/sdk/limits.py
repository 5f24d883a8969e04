"""What the unmodified `openai` package makes of limits: what is left, what is refused, what is cut off.

Starts nothing and knows no test harness: address and tokens come from the environment, and what each
token's tenant may do is said there. Prints one JSON line and ends with 0 when every check held, else with 1.
"""

import json
import os
import sys
import time

import httpx2
import openai

BASE_URL = os.environ["OPENCLAWMU_BASE_URL"]  # ends in /v1
MODEL = os.environ["OPENCLAWMU_MODEL"]  # answers at once
ENDLESS = os.environ["OPENCLAWMU_ENDLESS_MODEL"]  # streams and never ends
WIDE = os.environ["OPENCLAWMU_WIDE"]  # 1000 requests a minute, 1000000 tokens a day
FEW = os.environ["OPENCLAWMU_FEW"]  # 1 request a month
POOR = os.environ["OPENCLAWMU_POOR"]  # 1 micro-dollar a month
CUT = os.environ["OPENCLAWMU_CUT"]  # a few hundred tokens a month

ASK = [{"role": "user", "content": "Say hello."}]


def connect(token, **options):
    return openai.OpenAI(base_url=BASE_URL, api_key=token, timeout=60.0, **options)


def ask(client, model=MODEL, **options):
    return client.chat.completions.create(model=model, messages=ASK, **options)


def counted(token):
    """A client that tries again as it does by itself, and how often it has asked."""
    asked = []
    http = httpx2.Client(event_hooks={"request": [asked.append]})
    return connect(token, http_client=http), asked


def refused(token, code):
    client, asked = counted(token)
    begun = time.monotonic()
    try:
        ask(client)
    except openai.RateLimitError as error:
        assert time.monotonic() - begun < 5 and len(asked) == 1, f"asked {len(asked)} times"
        assert error.status_code == 429 and error.code == code and error.type == code, error.body
        limit = error.body["limit"]
        assert limit["level"] == "tenant" and limit["window"] == "month", limit
        assert limit["resetsAt"] > time.time() * 1000, limit
        headers = error.response.headers
        wait = int(headers["retry-after"])
        assert 0 < wait <= 31 * 86400 and headers["x-should-retry"] == "false", dict(headers)
        assert "begins anew" in error.message and limit["limit"] in error.message, error.message
        return limit
    raise AssertionError("was answered")


def what_is_left():
    left = []
    for _ in range(2):
        raw = connect(WIDE).chat.completions.with_raw_response.create(model=MODEL, messages=ASK)
        assert raw.parse().choices[0].message.content
        head = raw.headers
        assert head["x-ratelimit-limit-requests"] == "1000", dict(head)
        assert head["x-ratelimit-limit-tokens"] == "1000000", dict(head)
        assert head["x-ratelimit-reset-requests"].endswith("s"), dict(head)
        assert "h" in head["x-ratelimit-reset-tokens"] or "m" in head["x-ratelimit-reset-tokens"]
        left.append(int(head["x-ratelimit-remaining-tokens"]))
        assert 0 < int(head["x-ratelimit-remaining-requests"]) < 1000
    assert left[1] < left[0] < 1000000, left
    models = connect(WIDE).models.with_raw_response.list()
    assert "x-ratelimit-remaining-requests" in models.headers


def a_stream_says_what_is_left():
    with connect(WIDE).chat.completions.with_streaming_response.create(
        model=MODEL, messages=ASK, stream=True
    ) as stream:
        assert stream.headers["x-ratelimit-limit-requests"] == "1000"


def requests_are_used_up():
    ask(connect(FEW))
    limit = refused(FEW, "rate_limit_exceeded")
    assert limit["limit"] == "requests/month" and limit["max"] == 1 and limit["remaining"] == 0


def money_is_used_up():
    limit = refused(POOR, "insufficient_quota")
    assert limit["limit"] == "costMicros/month" and limit["max"] == 1, limit


def a_stream_is_cut_off():
    said = []
    try:
        for chunk in ask(connect(CUT, max_retries=0), model=ENDLESS, stream=True):
            said.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)
            assert not any(choice.finish_reason for choice in chunk.choices), "taken for complete"
    except openai.APIError as error:
        assert error.code == "rate_limit_exceeded", error.body
        assert error.body["limit"]["limit"] == "tokens/month", error.body
        assert len(said) > 10, f"only {len(said)} pieces"
        return
    raise AssertionError("taken for a complete answer")


def main():
    checks = [
        what_is_left,
        a_stream_says_what_is_left,
        requests_are_used_up,
        money_is_used_up,
        a_stream_is_cut_off,
    ]
    report = []
    for check in checks:
        try:
            check()
            report.append({"name": check.__name__, "ok": True})
        except Exception as error:  # every failure is told
            report.append({"name": check.__name__, "ok": False, "why": f"{type(error).__name__}: {error}"})
    print(json.dumps({"sdk": f"openai-python {openai.__version__}", "checks": report}))
    return 0 if all(check["ok"] for check in report) else 1


if __name__ == "__main__":
    sys.exit(main())
