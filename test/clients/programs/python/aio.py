"""What python-socketio can do, cell by cell, with its asyncio client."""

import asyncio
import functools
import json
import os
import sys
import time
import traceback
import urllib.request
import uuid
from importlib.metadata import version

import socketio

LIMIT = 15  # seconds, the longest any one wait may take
DIRECT, RELAY, BALANCER = (os.environ[name] for name in ("DIRECT", "RELAY", "BALANCER"))
CLIENT = f"python-socketio {version('python-socketio')}, asyncio"
KINDS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}


class Cells:
    def __init__(self, transport):
        self.transport = transport
        self.tag = uuid.uuid4().hex
        self.opened = []

    def client(self, namespaces=("/",)):
        """A client that is not yet connected, with a queue of the greetings of each namespace."""
        sio = socketio.AsyncClient()
        sio.reconnection_delay, sio.reconnection_delay_max, sio.randomization_factor = 0.02, 0.1, 0
        # A machine that is busy with tests may take longer than the second that is the default.
        sio.connect = functools.partial(sio.connect, wait_timeout=LIMIT)
        sio.welcomes = {namespace: listen(sio, "welcome", namespace) for namespace in namespaces}
        self.opened.append(sio)
        return sio

    async def connected(self):
        sio = self.client()
        await sio.connect(DIRECT, transports=KINDS[self.transport])
        sio.welcome = (await soon(sio.welcomes["/"].get()))[0]
        return sio

    async def settled(self, sio):
        """Waits until the server too has the transport that the cell is about."""
        want = "polling" if self.transport == "polling" else "websocket"
        end = time.monotonic() + LIMIT
        while await sio.call("transport", timeout=LIMIT) != want:
            assert time.monotonic() < end, f"the transport is not {want}"

    async def connect(self):
        sio = await self.connected()
        equal(sio.welcome["id"], sio.get_sid())
        await self.settled(sio)

    async def auth(self):
        kinds = {"transports": KINDS[self.transport], "namespaces": ["/private"]}
        sio = self.client(["/private"])
        refusal = listen(sio, "connect_error", "/private")
        try:
            await sio.connect(DIRECT, auth={"token": "wrong"}, **kinds)
        except socketio.exceptions.ConnectionError:
            pass
        equal((await soon(refusal.get()))[0]["data"]["code"], "E401")
        sio = self.client(["/private"])
        await sio.connect(DIRECT, auth={"token": "secret"}, **kinds)
        equal((await soon(sio.welcomes["/private"].get()))[0]["nsp"], "/private")

    async def ack(self):
        sio = await self.connected()
        equal(await sio.call("echo", 1, timeout=LIMIT), 1)
        await self.settled(sio)
        equal(await sio.call("echo", {"a": [1, "é🎉", None]}, timeout=LIMIT), {"a": [1, "é🎉", None]})

    async def answer(self):
        sio = await self.connected()
        sio.on("answer-me", lambda value: {"got": value})
        equal(await sio.call("question", [1, "two"], timeout=LIMIT), {"got": [1, "two"]})
        await self.settled(sio)
        equal(await sio.call("question", "again", timeout=LIMIT), {"got": "again"})

    async def binary(self):
        sio = await self.connected()
        value = {"bytes": bytes(range(256)), "text": "é"}
        echo = listen(sio, "echo")
        await sio.emit("echo", value)
        equal((await soon(echo.get()))[0], value)
        await self.settled(sio)
        equal(await sio.call("echo", value, timeout=LIMIT), value)

    async def namespaces(self):
        sio = self.client(["/", "/admin"])
        await sio.connect(DIRECT, transports=KINDS[self.transport], namespaces=["/", "/admin"])
        for namespace in ("/", "/admin"):
            equal((await soon(sio.welcomes[namespace].get()))[0]["nsp"], namespace)
            equal(await sio.call("echo", namespace, namespace=namespace, timeout=LIMIT), namespace)

    async def reconnect(self):
        sio = self.client()
        await sio.connect(f"{RELAY}?tag={self.tag}", transports=KINDS[self.transport])
        await self.cut_and_back(sio, RELAY)

    async def recovery(self):
        return "the client knows no recovery"

    async def sticky(self):
        sio = self.client()
        url = f"{BALANCER}?tag={self.tag}"
        # The settings of docs/clients.md, as written there.
        if self.transport == "websocket":
            await sio.connect(url, transports=["websocket"])
        elif self.transport == "upgrade":
            await sio.connect(url)
        else:
            await sio.connect(url, transports=["polling"])
        await self.cut_and_back(sio, BALANCER)

    async def cut_and_back(self, sio, network):
        before = (await soon(sio.welcomes["/"].get()))[0]["id"]
        await self.settled(sio)
        cut = urllib.request.urlopen
        (await asyncio.to_thread(cut, f"{network}/cut?tag={self.tag}", timeout=LIMIT)).close()
        after = (await soon(sio.welcomes["/"].get()))[0]["id"]
        assert before != after, "the same id"
        await self.settled(sio)
        equal(await sio.call("echo", "back", timeout=LIMIT), "back")


def soon(awaitable):
    return asyncio.wait_for(awaitable, LIMIT)


def listen(sio, event, namespace="/"):
    events = asyncio.Queue()
    sio.on(event, lambda *args: events.put_nowait(args), namespace=namespace)
    return events


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


async def run(transport):
    for capability in ("connect", "auth", "ack", "answer", "binary", "namespaces", "reconnect", "recovery", "sticky"):
        cells = Cells(transport)
        line = {"client": CLIENT, "transport": transport, "capability": capability, "result": "ok"}
        try:
            note = await getattr(cells, capability)()
            if note:
                line.update(result="n.a.", note=note)
        except Exception as e:
            traceback.print_exc()
            line.update(result="failed", note=repr(e))
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        for sio in cells.opened:
            await sio.disconnect()


async def main():
    await asyncio.gather(*map(run, KINDS))


if __name__ == "__main__":
    asyncio.run(main())
