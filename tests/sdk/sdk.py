"""Drives the gateway with the unmodified `openai` package, as a tenant's own program would.

Starts nothing and knows no test harness: address, token and model names come from the environment.
Prints one JSON line and ends with 0 when every check held, else with 1.
"""

import json
import os
import sys

import openai

BASE_URL = os.environ["OPENCLAWMU_BASE_URL"]  # ends in /v1
TOKEN = os.environ["OPENCLAWMU_TOKEN"]
MODELS = os.environ["OPENCLAWMU_MODELS"].split(",")
ENDLESS = os.environ["OPENCLAWMU_ENDLESS_MODEL"]  # streams for longer than this program runs
BODY_LIMIT = int(os.environ["OPENCLAWMU_BODY_LIMIT"])  # bytes

ASK = [{"role": "user", "content": "Say hello, then count to two hundred."}]


def connect(token=TOKEN):
    # No retries: a check is about one answer.
    return openai.OpenAI(base_url=BASE_URL, api_key=token, max_retries=0, timeout=60.0)


def refused(call, kind, statuses):
    """Runs `call`, which must fail with an error of `kind` that tells a person why."""
    try:
        call()
    except kind as error:
        assert error.status_code in statuses, f"status {error.status_code}"
        assert isinstance(error.body, dict) and error.body.get("message"), f"body {error.body!r}"
        assert TOKEN not in str(error), "the error repeats the token"
        return f"{type(error).__name__} {error.status_code}"
    raise AssertionError("was answered")


def chat():
    for model in MODELS:
        answer = connect().chat.completions.create(model=model, messages=ASK)
        choice = answer.choices[0]
        assert answer.object == "chat.completion" and choice.message.role == "assistant"
        assert choice.message.content and choice.finish_reason in ("stop", "length")
        usage = answer.usage
        assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def streaming_with_usage():
    for model in MODELS:
        stream = connect().chat.completions.create(
            model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        deltas = [c.choices[0] for c in chunks if c.choices]
        assert len({c.id for c in chunks}) == 1, "one answer, one id"
        assert "".join(d.delta.content or "" for d in deltas), "no text"
        assert [d.finish_reason for d in deltas if d.finish_reason] in (["stop"], ["length"])
        usages = [c.usage for c in chunks if c.usage]
        assert len(usages) == 1 and chunks[-1].usage and not chunks[-1].choices, "usage comes last"
        assert usages[0].completion_tokens > 0


def streaming_without_usage():
    stream = connect().chat.completions.create(model=MODELS[0], messages=ASK, stream=True)
    assert not any(c.usage for c in stream), "usage that nobody asked for"


def wrong_key():
    wrong = connect(TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "b"))
    return refused(lambda: wrong.models.list(), openai.AuthenticationError, (401,))


def unknown_model():
    def call():
        connect().chat.completions.create(model="no-such-model", messages=ASK)

    return refused(call, openai.NotFoundError, (404,))


def oversized_body():
    def call():
        huge = [{"role": "user", "content": "x" * (BODY_LIMIT + 1)}]
        connect().chat.completions.create(model=MODELS[0], messages=huge)

    return refused(call, openai.APIStatusError, (413,))


def malformed_body():
    def call():
        connect().chat.completions.create(
            model=MODELS[0], messages=ASK, extra_body={"messages": 7}
        )

    return refused(call, openai.APIStatusError, (400, 422))


def cancel_in_mid_stream():
    client = connect()
    with client.chat.completions.create(model=ENDLESS, messages=ASK, stream=True) as stream:
        for count, chunk in enumerate(stream):
            assert not (chunk.choices and chunk.choices[0].finish_reason), "too short to cancel"
            if count == 2:
                break
    chat()


def models():
    listed = {m.id for m in connect().models.list()}
    missing = [m for m in MODELS if m not in listed]
    assert not missing, f"{missing} not in {sorted(listed)}"
    assert connect().models.retrieve(MODELS[0]).object == "model"


TOOL = {
    "type": "function",
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
    "strict": False,
}


def responses():
    for model in MODELS:
        answer = connect().responses.create(model=model, input="Say hello.", instructions="Be brief.")
        assert answer.object == "response" and answer.status == "completed", answer.status
        assert answer.id.startswith("resp_") and answer.output_text and answer.error is None
        usage = answer.usage
        assert usage.input_tokens > 0 and usage.output_tokens > 0
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def responses_streaming():
    for model in MODELS:
        stream = connect().responses.create(model=model, input="Say hello twice.", stream=True)
        events = list(stream)
        assert [e.sequence_number for e in events] == list(range(len(events)))
        kinds = [e.type for e in events]
        assert kinds[:4] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
        ], kinds
        assert kinds[-4:] == [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ], kinds
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        assert text and events[-1].response.output_text == text
        assert events[-1].response.usage.output_tokens > 0
    with connect().responses.stream(model=MODELS[0], input="Say hello.") as stream:
        assert stream.get_final_response().output_text


def responses_previous():
    first = connect().responses.create(model="openclaw", input="My word is plum.")
    then = connect().responses.create(
        model="openclaw", input="And now?", previous_response_id=first.id
    )
    assert then.previous_response_id == first.id and then.usage.input_tokens > 0

    def call():
        connect().responses.create(
            model="openclaw", input="x", previous_response_id="resp_" + "0" * 32
        )

    return refused(call, openai.BadRequestError, (400,))


def responses_function_tool():
    for model in (MODELS[0], "openclaw"):
        client = connect()
        ask = {"model": model, "input": 'call add {"a": 1}', "tools": [TOOL]}
        first = client.responses.create(**ask)
        (item,) = [item for item in first.output if item.type == "function_call"]
        assert item.name == "add" and json.loads(item.arguments) == {"a": 1}
        events = list(client.responses.create(**ask, stream=True))
        kinds = [e.type for e in events]
        assert "response.function_call_arguments.delta" in kinds
        (done,) = [e for e in events if e.type == "response.function_call_arguments.done"]
        assert json.loads(done.arguments) == {"a": 1}
        output = {"type": "function_call_output", "call_id": item.call_id, "output": "it is 2"}
        if model == "openclaw":
            more = {"previous_response_id": first.id, "input": [output]}
        else:
            more = {"input": [{"role": "user", "content": "add"}, *first.output, output]}
        then = client.responses.create(model=model, tools=[TOOL], **more)
        assert "it is 2" in then.output_text, then.output_text


def embeddings():
    client = connect()
    # The package asks for base64 unless it is told otherwise.
    packed = client.embeddings.create(model=MODELS[0], input=["one", "three"])
    plain = client.embeddings.create(model=MODELS[0], input=["one", "three"], encoding_format="float")
    assert packed.object == "list" and [d.index for d in packed.data] == [0, 1]
    assert [d.embedding for d in packed.data] == [d.embedding for d in plain.data]
    assert plain.data[1].embedding[0] == 5.0 and packed.usage.prompt_tokens > 0
    assert client.embeddings.create(model="openclaw", input="x").data[0].embedding

    def call():
        client.embeddings.create(model=MODELS[0], input=[1, 2, 3])

    return refused(call, openai.APIStatusError, (400, 422))


CHECKS = (
    responses,
    responses_streaming,
    responses_previous,
    responses_function_tool,
    embeddings,
    chat,
    streaming_with_usage,
    streaming_without_usage,
    wrong_key,
    unknown_model,
    oversized_body,
    malformed_body,
    cancel_in_mid_stream,
    models,
)


def run(check):
    try:
        return {"name": check.__name__, "ok": True, "detail": check() or ""}
    except Exception as error:  # one failed check must not hide the others
        return {"name": check.__name__, "ok": False, "detail": f"{type(error).__name__}: {error}"}


def main():
    checks = [run(check) for check in CHECKS]
    ok = all(check["ok"] for check in checks)
    print(json.dumps({"sdk": f"openai-python {openai.__version__}", "ok": ok, "checks": checks}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
