"""Discord's counterpart, driven with discord.py as it is: gateway, REST API, limits, interactions."""

import asyncio
import io
import json
import sys
import time

import aiohttp
import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from report import ARGS, check, done, say

WAIT = 60
Route.BASE = ARGS["root"] + "/api/v10"
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(ARGS["gateway"])


async def step(name, **more):
    say(name, **more)
    read = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return json.loads(await read)


class Bot(discord.Client):
    def __init__(self):
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__(intents=intents, max_ratelimit_timeout=None)
        self.queues = {}
        self.tree = app_commands.CommandTree(self)

    def queue(self, name):
        return self.queues.setdefault(name, asyncio.Queue())

    async def next(self, name):
        return await asyncio.wait_for(self.queue(name).get(), WAIT)

    async def on_ready(self):
        self.queue("ready").put_nowait(self.ws.session_id)

    async def on_resumed(self):
        self.queue("resumed").put_nowait(self.ws.session_id)

    async def on_message(self, message):
        if message.author != self.user:
            self.queue("message").put_nowait(message)

    async def on_raw_message_edit(self, payload):
        if payload.message.author != self.user:
            self.queue("edit").put_nowait(payload)

    async def on_raw_message_delete(self, payload):
        self.queue("delete").put_nowait(payload)


async def failure(call):
    try:
        await call
    except discord.HTTPException as err:
        return err
    return None


def signatures():
    signed, key = ARGS["signed"], VerifyKey(bytes.fromhex(ARGS["key"]))
    message = (signed["time"] + signed["body"]).encode()
    check("a signature", key.verify(message, bytes.fromhex(signed["signature"])) == message)
    try:
        key.verify(message + b" ", bytes.fromhex(signed["signature"]))
        check("another body", False)
    except BadSignatureError:
        check("another body", True)


async def hearing(bot, room):
    message = await bot.next("message")
    check("a message", message.content == "hello" and message.channel == room, message)
    check("its author", message.author.name == "ann" and not message.author.bot, message.author)
    message = await bot.next("message")
    check("in a conversation of two", isinstance(message.channel, discord.DMChannel), message.channel)
    check("a mention", bot.user in message.mentions, message.mentions)
    message = await bot.next("message")
    check("an answer", message.reference.resolved.content == "hello", message.reference)
    message = await bot.next("message")
    check("a file", await message.attachments[0].read() == b"of use", message.attachments)
    await step("edit")
    edit = await bot.next("edit")
    check("an edit", edit.data["content"] == "better", edit.data)
    await bot.next("delete")


async def rest(bot, room):
    info = await bot.application_info()
    check("the application", info.id == bot.user.id and info.verify_key == ARGS["key"], info)
    sent = await room.send("hello yourself")
    check("send", sent.content == "hello yourself" and sent.author == bot.user, sent)
    again = await room.send("once", nonce=4711)
    twice = await room.send("twice", nonce=4711)
    check("a number is taken once", again.id == twice.id and twice.content == "once", twice)
    check("edit", (await sent.edit(content="better")).content == "better")
    reply = await sent.reply("an answer", mention_author=False)
    check("reply", reply.reference.message_id == sent.id, reply.reference)
    await sent.add_reaction("👀")
    fetched = await room.fetch_message(sent.id)
    check("fetch", fetched.reactions[0].emoji == "👀" and fetched.edited_at is not None, fetched)
    after = [it.content async for it in room.history(after=sent)]
    check("history after", after == ["once", "an answer"], after)
    newest = [it.content async for it in room.history(limit=1)]
    check("history", newest == ["an answer"], newest)
    await reply.delete()
    gone = await failure(room.fetch_message(reply.id))
    check("delete", gone.status == 404 and gone.code == 10008, gone)
    await room.typing()
    filed = await room.send("a file", file=discord.File(io.BytesIO(b"\x00\xffbytes"), "b.bin"))
    check("a file comes back", await filed.attachments[0].read() == b"\x00\xffbytes", filed.attachments)
    name = "größe.bin"
    first = await room.send(file=discord.File(io.BytesIO(b"\x00\r\n--\xff"), name), nonce=4712, reference=sent)
    file = first.attachments[0]
    check("a file alone", first.content == "" and await file.read() == b"\x00\r\n--\xff", first)
    check("its name and its size", file.filename == name and file.size == 6, file)
    check("it answers", first.reference.message_id == sent.id, first.reference)
    again = await room.send(file=discord.File(io.BytesIO(b"other"), name), nonce=4712)
    check("a number is taken once with a file too", again.id == first.id and again.attachments[0].size == 6, again)
    long = await failure(room.send("x" * 2001))
    check("too long", long.status == 400 and long.code == 50035 and "2000" in long.text, long)
    await room.send("☂" * 2000)
    empty = await failure(room.send(""))
    check("nothing", empty.code == 50006, empty)
    other = await failure(room.get_partial_message(int(ARGS["other"])).edit(content="mine"))
    check("another's message", other.status == 403 and other.code == 50005, other)
    nowhere = await failure(bot.http.send_message(1, params=discord.http.handle_message_parameters("x")))
    check("no room", nowhere.status == 404 and nowhere.code == 10003, nowhere)
    thread = await sent.create_thread(name="more")
    check("a thread is a room", thread.id == sent.id and (await thread.send("in it")).channel.id == thread.id)
    person = await bot.fetch_user(int(ARGS["person"]))
    check("a conversation of two", str((await person.create_dm()).id) == ARGS["direct"])


async def limits(bot, room):
    await step("limit")
    begun = time.monotonic()
    await room.send("after a while")
    check("429 of a route and of all", time.monotonic() - begun >= 0.6)
    await step("shut")
    out = await failure(room.send("never"))
    check("shut out", out.status == 429, out)
    try:
        await room.send("nobody knows")
        check("an answer that breaks off", False)
    except (aiohttp.ClientError, OSError) as err:
        check("an answer that breaks off", True, err)
    await step("bucket")
    begun = time.monotonic()
    for number in range(5):
        await room.send(f"in time {number}")
    check("the library keeps to the bucket", time.monotonic() - begun >= 1, time.monotonic() - begun)


async def sessions(bot, first):
    await step("close")
    check("resumed", await bot.next("resumed") == first)
    check("what was missed", (await bot.next("message")).content == "missed")
    await step("reconnect")
    check("resumed when asked to", await bot.next("resumed") == first)
    # Of the next connection: sooner than anybody would.
    bot._connection.heartbeat_timeout = 3
    await step("cut")
    check("resumed after a cut", await bot.next("resumed") == first)
    bot._connection.heartbeat_timeout = 60
    await step("silent")
    check("resumed where nobody answered", await bot.next("resumed") == first)
    await step("invalidate")
    check("begun anew", await bot.next("ready") != first)
    await step("told")
    check("as before", (await bot.next("message")).content == "there again")


async def interactions(bot):
    @bot.tree.command(name="status", description="How it is")
    async def status(interaction, what: str):
        told = await interaction.response.send_message(f"fine: {what}")
        check("a first answer", told.message_id is not None)
        try:
            await interaction.response._parent._state.http.request(Route("POST", f"/interactions/{interaction.id}/{interaction.token}/callback"), json={"type": 5})
            check("once", False)
        except discord.HTTPException as err:
            check("once", err.code == 40060, err)
        await interaction.followup.send("and more")

    @bot.tree.command(name="slow", description="Later")
    async def slow(interaction):
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content="at last")
        await interaction.edit_original_response(content="at very last")
        check("the first answer", (await interaction.original_response()).content == "at very last")
        bot.queue("slow").put_nowait(True)

    synced = await bot.tree.sync()
    check("commands", sorted(it.name for it in synced) == ["slow", "status"], synced)
    await step("command")
    await bot.next("slow")


async def main():
    signatures()
    wrong = discord.Client(intents=discord.Intents.default())
    try:
        await wrong.login("wrong")
        check("a wrong token", False)
    except discord.LoginFailure as err:
        check("a wrong token", True, err)
    await wrong.close()
    bot = Bot()
    await bot.login(ARGS["token"])
    running = asyncio.create_task(bot.connect())
    first = await bot.next("ready")
    check("who it is", str(bot.user.id) == ARGS["id"], bot.user)
    room = bot.get_channel(int(ARGS["room"]))
    check("where it is", room.guild.name == "house" and room.name == "garden", room)
    await step("ready")
    await hearing(bot, room)
    await step("rest")
    await rest(bot, room)
    await limits(bot, room)
    await sessions(bot, first)
    await interactions(bot)
    await step("end")
    await bot.close()
    await asyncio.wait([running])


asyncio.run(main())
done()
