"""Slack's counterpart, driven with slack_sdk as it is: the Web API, Socket Mode, signatures."""

import queue
import time
import urllib.error
import urllib.request

from report import ARGS, check, done, step
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

WAIT = 60
API = ARGS["root"] + "/api/"


def error(call):
    try:
        call()
    except SlackApiError as err:
        return err.response
    return None


def signatures():
    class At(Clock):
        def __init__(self, time):
            self.time = time

        def now(self):
            return self.time

    signed = ARGS["signed"]
    for apart, good in [(0, True), (299, True), (-299, True), (301, False)]:
        verifier = SignatureVerifier(ARGS["secret"], At(int(signed["time"]) + apart))
        held = verifier.is_valid(signed["body"], signed["time"], signed["signature"])
        check(f"a signature {apart} s later", held is good, held)
    verifier = SignatureVerifier(ARGS["secret"], At(int(signed["time"])))
    check("another body", not verifier.is_valid(signed["body"] + " ", signed["time"], signed["signature"]))


def web(client):
    me = client.auth_test()
    check("auth.test", me["user_id"] == ARGS["user"] and me["team_id"] == ARGS["team"], me.data)
    check("no token", error(lambda: WebClient(base_url=API).auth_test())["error"] == "not_authed")
    wrong = WebClient(token="xoxb-wrong", base_url=API)
    check("a wrong token", error(wrong.auth_test)["error"] == "invalid_auth")
    check("the wrong kind of token", error(lambda: client.apps_connections_open(app_token=ARGS["bot"]))["error"] == "not_allowed_token_type")

    room = ARGS["room"]
    posted = client.chat_postMessage(channel=room, text="hello", metadata={"event_type": "mark", "event_payload": {"key": "k1"}})
    check("chat.postMessage", posted["message"]["text"] == "hello" and posted["channel"] == room, posted.data)
    thread = client.chat_postMessage(channel=room, text="in a thread", thread_ts=posted["ts"])
    updated = client.chat_update(channel=room, ts=posted["ts"], text="better")
    check("chat.update", updated["ts"] == posted["ts"] and updated["text"] == "better", updated.data)
    replies = client.conversations_replies(channel=room, ts=posted["ts"])
    check("conversations.replies", [it["text"] for it in replies["messages"]] == ["better", "in a thread"], replies.data)
    history = client.conversations_history(channel=room, include_all_metadata=True)
    check("conversations.history", history["messages"][0]["metadata"]["event_payload"]["key"] == "k1", history.data)
    history = client.conversations_history(channel=room)
    check("metadata only where it is asked for", "metadata" not in history["messages"][0])
    gone = client.chat_delete(channel=room, ts=thread["ts"])
    check("chat.delete", gone["ts"] == thread["ts"])
    gone = error(lambda: client.chat_delete(channel=room, ts=thread["ts"]))
    check("once", gone["error"] == "message_not_found")
    check("no room", error(lambda: client.chat_postMessage(channel="C9", text="x"))["error"] == "channel_not_found")
    check("no text", error(lambda: client.chat_postMessage(channel=room, text=""))["error"] == "no_text")
    direct = client.conversations_open(users=ARGS["person"])["channel"]["id"]
    to_person = client.chat_postMessage(channel=ARGS["person"], text="to you")
    check("a person is a conversation of two", to_person["channel"] == direct and direct.startswith("D"))
    check("conversations.info", client.conversations_info(channel=room)["channel"]["name"] == "garden")
    check("users.info", client.users_info(user=ARGS["person"])["user"]["name"] == "ann")
    client.reactions_add(channel=room, timestamp=posted["ts"], name="eyes")
    twice = error(lambda: client.reactions_add(channel=room, timestamp=posted["ts"], name="eyes"))
    check("reactions.add", twice["error"] == "already_reacted")
    long = client.chat_postMessage(channel=room, text="x" * 40_001)
    check("a long text is cut", len(long["message"]["text"]) == 40_000)


def files(client):
    sent = client.files_upload_v2(channel=ARGS["room"], filename="a.txt", content="of use", initial_comment="look")
    file = sent["file"]
    request = urllib.request.Request(file["url_private_download"], headers={"Authorization": f"Bearer {ARGS['bot']}"})
    with urllib.request.urlopen(request) as answer:
        check("a file comes back", answer.read() == b"of use")
    with urllib.request.urlopen(file["url_private_download"]) as answer:
        kind = answer.headers["content-type"]
        check("without the token a page to sign in", kind.startswith("text/html"), kind)
    check("files.info", client.api_call("files.info", params={"file": file["id"]})["file"]["name"] == "a.txt")


def files_in_steps(client):
    """The three steps by themselves, in a thread, with a name that could be taken for something else."""
    room, name, content = ARGS["room"], 'größe &=? "x".bin', b"\x00\xff of\r\n--use"
    first = client.chat_postMessage(channel=room, text="a thread")
    begun = client.files_getUploadURLExternal(filename=name, length=len(content))
    request = urllib.request.Request(begun["upload_url"], data=content, headers={"content-type": "application/x-other"})
    with urllib.request.urlopen(request) as answer:
        check("the bytes are taken", answer.status == 200)
    check("nobody sees it yet", not any(it.get("files") for it in replies(client, first["ts"])))
    done = client.files_completeUploadExternal(files=[{"id": begun["file_id"], "title": name}], channel_id=room, thread_ts=first["ts"])
    check("files.completeUploadExternal", done["files"][0]["id"] == begun["file_id"], done.data)
    shared = replies(client, first["ts"])[-1]
    check("it is in the thread", shared["thread_ts"] == first["ts"] and shared["user"] == ARGS["user"], shared)
    file = shared["files"][0]
    check("its name and its size", (file["name"], file["title"], file["size"]) == (name, name, len(content)), file)
    wrong = client.files_getUploadURLExternal(filename=name, length=3)
    request = urllib.request.Request(wrong["upload_url"], data=content)
    try:
        urllib.request.urlopen(request)
        check("of another length", False)
    except urllib.error.HTTPError as err:
        check("of another length", err.code == 400, err)
    gone = error(lambda: client.files_completeUploadExternal(files=[{"id": wrong["file_id"]}], channel_id=room))
    check("what was not brought", gone["error"] == "file_not_found", gone)
    check("of no bytes", error(lambda: client.files_getUploadURLExternal(filename="x", length=0)))


def replies(client, ts):
    return client.conversations_replies(channel=ARGS["room"], ts=ts)["messages"]


def limits(client):
    step("limit")
    begun = time.monotonic()
    refused = error(lambda: client.chat_postMessage(channel=ARGS["room"], text="soon"))
    check("429", refused.status_code == 429 and refused.headers["Retry-After"] == "1", refused.headers)
    patient = WebClient(token=ARGS["bot"], base_url=API, retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=2)])
    patient.chat_postMessage(channel=ARGS["room"], text="waited")
    check("the library waits as it is told", time.monotonic() - begun >= 1)
    step("broken")
    untimed = error(lambda: client.chat_postMessage(channel=ARGS["room"], text="untimed"))
    check("429 without its status", untimed.status_code == 200 and untimed["error"] == "rate_limited")
    try:
        client.chat_postMessage(channel=ARGS["room"], text="cut")
        check("cut", False)
    except SlackApiError:
        check("cut", False)
    except Exception as err:
        check("cut", True, err)
    try:
        client.chat_postMessage(channel=ARGS["room"], text="a proxy")
        check("503", False)
    except SlackApiError as err:
        check("503", err.response.status_code == 503, err.response.status_code)


def sockets(client):
    heard, events = queue.Queue(), queue.Queue()
    silent = {"count": 0}

    def envelope(socket, request):
        heard.put(request)
        if silent["count"] > 0:
            silent["count"] -= 1
            return
        payload = {"text": "done"} if request.type == "slash_commands" else None
        socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id, payload=payload))

    def message(socket, message, raw):
        events.put(message)

    socket = SocketModeClient(app_token=ARGS["app"], web_client=client)
    socket.socket_mode_request_listeners.append(envelope)
    socket.message_listeners.append(message)
    socket.connect()
    hello = events.get(timeout=WAIT)
    check("hello", hello["type"] == "hello" and hello["num_connections"] == 1, hello)
    step("connected")
    request = heard.get(timeout=WAIT)
    check("a message", request.type == "events_api" and request.payload["event"]["text"].endswith("hello"), request.payload)
    check("its envelope", request.payload["api_app_id"] and request.retry_attempt == 0, request.to_dict())
    request = heard.get(timeout=WAIT)
    check("its mention", request.payload["event"]["type"] == "app_mention")

    silent["count"] = 1
    step("silent")
    first, second = heard.get(timeout=WAIT), heard.get(timeout=WAIT)
    check("once more", first.payload == second.payload and second.retry_attempt == 1, second.to_dict())
    check("and why", second.retry_reason == "timeout", second.retry_reason)
    step("command")
    request = heard.get(timeout=WAIT)
    check("a command", request.type == "slash_commands" and request.payload["command"] == "/status", request.payload)

    first = socket.wss_uri
    step("refresh")
    while events.get(timeout=WAIT)["type"] != "hello":
        pass
    check("another socket with another ticket", socket.wss_uri != first)
    step("again")
    request = heard.get(timeout=WAIT)
    check("through the new one", request.payload["event"]["text"] == "still there?")
    step("cut")
    while events.get(timeout=WAIT)["type"] != "hello":
        pass
    step("more")
    request = heard.get(timeout=WAIT)
    check("after a cut", request.payload["event"]["text"] == "and now?")
    socket.close()


client = WebClient(token=ARGS["bot"], base_url=API, retry_handlers=[])
signatures()
web(client)
files(client)
files_in_steps(client)
limits(client)
sockets(client)
done()
