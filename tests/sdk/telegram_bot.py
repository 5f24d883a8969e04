"""python-telegram-bot, as it is, against the Telegram of the tests: what it takes for Telegram may stand
for Telegram. Prints its checks as one JSON document."""

import asyncio
import datetime
import json
import os

from telegram import Bot
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

ROOT = os.environ["TELEGRAM_ROOT"]
TOKEN = os.environ["TELEGRAM_TOKEN"]
CHECKS = []


def check(name, ok, detail=""):
    CHECKS.append({"name": name, "ok": bool(ok), "detail": str(detail)})


def client(token):
    return Bot(token, base_url=f"{ROOT}/bot", base_file_url=f"{ROOT}/file/bot")


async def refused(kind, call):
    """The refusal of this kind; None where there is none, or another."""
    try:
        await call
    except kind as err:
        return err
    except Exception:  # noqa: BLE001 - whatever it is, it is not what was expected
        return None
    return None


async def updates(bot):
    three = await bot.get_updates(timeout=1)
    check("three updates wait", len(three) == 3, three)
    again = await bot.get_updates(timeout=0)
    check("they wait until they are confirmed", [it.update_id for it in again] == [it.update_id for it in three])
    one = await bot.get_updates(limit=1, timeout=0)
    check("as many as are wanted", [it.update_id for it in one] == [three[0].update_id])
    rest = await bot.get_updates(offset=three[0].update_id + 1, timeout=0)
    check("an offset confirms what comes before it", len(rest) == 2)
    back = await bot.get_updates(offset=three[0].update_id, timeout=0)
    check("what is confirmed is gone", [it.update_id for it in back] == [it.update_id for it in rest])
    last = await bot.get_updates(offset=-1, timeout=0)
    check("a negative offset keeps the last", [it.update_id for it in last] == [three[2].update_id])
    said = three[0].message
    check("who said what", (said.text, said.chat.type, said.from_user.id) == ("one", "private", 7), said)
    late = await bot.get_updates(offset=three[2].update_id + 1, timeout=20)
    check("a long question is answered when something comes", len(late) == 1 and late[0].message.text == "late", late)
    await bot.get_updates(offset=late[0].update_id + 1, timeout=0)
    first = asyncio.create_task(refused(Conflict, bot.get_updates(timeout=10)))
    await asyncio.sleep(0.5)
    async with client(TOKEN) as other:
        await other.get_updates(timeout=0)
    check("only one asks", isinstance(await first, Conflict))


async def messages(bot):
    sent = await bot.send_message(7, "<b>hi</b> &lt;you&gt;", parse_mode="HTML")
    check("a message is sent", sent.text == "hi <you>" and sent.chat.id == 7, sent)
    reply = await bot.send_message(7, "yes", reply_to_message_id=1)
    check("each has a number of its own", reply.message_id == sent.message_id + 1)
    longest = "\U0001f600" * 2048
    check("the longest text", (await bot.send_message(7, longest)).text == longest)
    check("one that is longer", await refused(BadRequest, bot.send_message(7, longest + "a")))
    check("one that is empty", await refused(BadRequest, bot.send_message(7, " ")))
    wait = await refused(RetryAfter, bot.send_message(8, "too early"))
    check("a wait is said in seconds", wait is not None and wait.retry_after in (3, datetime.timedelta(seconds=3)), wait)
    check("after it a message is taken", await bot.send_message(8, "now"))
    check("a failure of the network's", await refused(NetworkError, bot.send_message(9, "x")))
    check("a user who has blocked us", await refused(Forbidden, bot.send_message(9, "x")))
    edited = await bot.edit_message_text("hello", chat_id=7, message_id=sent.message_id)
    check("a message is edited", edited.text == "hello")
    same = await refused(BadRequest, bot.edit_message_text("hello", chat_id=7, message_id=sent.message_id))
    check("to what it is not", same is not None and "not modified" in str(same), same)
    check("typing is shown", await bot.send_chat_action(7, "typing"))


async def files(bot):
    bytes_ = b"\x00\xff of\r\n--use"
    sent = await bot.send_document(7, bytes_, filename="größe; \"x\".bin", reply_to_message_id=1, caption="look")
    check("a document is sent", (sent.document.file_size, sent.caption) == (len(bytes_), "look"), sent)
    check("with its name", sent.document.file_name in ('größe; "x".bin', "größe; %22x%22.bin"), sent.document)
    back = await (await bot.get_file(sent.document.file_id)).download_as_bytearray()
    check("and comes back", bytes(back) == bytes_, back)
    picture = b"\x89PNG\r\n\x1a\n and so on"
    shown = await bot.send_photo(7, picture)
    back = await (await bot.get_file(shown.photo[-1].file_id)).download_as_bytearray()
    check("a picture is sent", bytes(back) == picture and shown.document is None, shown)
    refused_ = await refused(BadRequest, bot.send_photo(7, bytes_))
    check("what is none is refused", refused_ is not None and "image_process_failed" in str(refused_).lower(), refused_)
    check("nothing is refused", await refused(BadRequest, bot.send_document(7, b"")))
    check("what is said with it has a bound", await refused(BadRequest, bot.send_document(7, bytes_, caption="x" * 1025)))


async def rest(bot):
    me = await bot.get_me()
    check("who one is", (me.id, me.username, me.is_bot) == (700, "helper_bot", True), me)
    check("who nobody is", await refused(InvalidToken, client("1:" + "B" * 35).get_me()))
    file = await bot.get_file("file-1")
    check("a file", bytes(await file.download_as_bytearray()) == b"a small picture", file)
    check("no file", await refused(BadRequest, bot.get_file("file-2")))
    check("a webhook", await bot.set_webhook("https://a.example/in", secret_token="s-1_x"))
    check("where it is", (await bot.get_webhook_info()).url == "https://a.example/in")
    check("nobody asks beside it", await refused(Conflict, bot.get_updates(timeout=0)))
    check("a secret of other letters", await refused(BadRequest, bot.set_webhook("https://a.example", secret_token="s x")))
    check("it is removed", await bot.delete_webhook())
    check("and one may ask again", (await bot.get_updates(timeout=0)) == ())


async def main():
    bot = client(TOKEN)
    async with bot:
        await updates(bot)
        await messages(bot)
        await files(bot)
        await rest(bot)
    print(json.dumps({"checks": CHECKS}))


asyncio.run(main())
