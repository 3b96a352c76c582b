"""What python-socketio can do, cell by cell, with its blocking client: version 5, and 4 of the older protocol."""

import functools
import json
import os
import queue
import sys
import threading
import time
import traceback
import urllib.request
import uuid
from importlib.metadata import version

import socketio

LIMIT = 15  # seconds, the longest any one wait may take
DIRECT, RELAY, BALANCER = (os.environ[name] for name in ("DIRECT", "RELAY", "BALANCER"))
V4 = version("python-socketio").startswith("4.")
CLIENT = f"python-socketio {version('python-socketio')}, blocking"
KINDS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}


class Cells:
    def __init__(self, transport):
        self.transport = transport
        self.tag = uuid.uuid4().hex
        self.opened = []

    def client(self, namespaces=("/",)):
        """A client that is not yet connected, with a queue of the greetings of each namespace."""
        sio = socketio.Client()
        sio.reconnection_delay, sio.reconnection_delay_max, sio.randomization_factor = 0.02, 0.1, 0
        # A machine that is busy with tests may take longer than the second that is the default.
        if not V4:
            sio.connect = functools.partial(sio.connect, wait_timeout=LIMIT)
        sio.welcomes = {}
        for namespace in namespaces:
            sio.welcomes[namespace] = listen(sio, "welcome", namespace)
        self.opened.append(sio)
        return sio

    def connected(self, url=DIRECT):
        sio = self.client()
        sio.connect(url, transports=KINDS[self.transport])
        sio.welcome = sio.welcomes["/"].get(timeout=LIMIT)[0]
        return sio

    def settled(self, sio):
        """Waits until the server too has the transport that the cell is about."""
        want = "polling" if self.transport == "polling" else "websocket"
        end = time.monotonic() + LIMIT
        while sio.call("transport", timeout=LIMIT) != want:
            assert time.monotonic() < end, f"the transport is not {want}"

    def connect(self):
        sio = self.connected()
        equal(sio.welcome["id"], sio.sid if V4 else sio.get_sid())
        self.settled(sio)

    def auth(self):
        sio = self.client(["/private"])
        refusal = listen(sio, "connect_error", "/private")
        try:
            self.private(sio, "wrong")
        except socketio.exceptions.ConnectionError:
            pass
        refused = refusal.get(timeout=LIMIT)[0]
        equal((refused if V4 else refused["data"])["code"], "E401")
        sio = self.client(["/private"])
        self.private(sio, "secret")
        equal(sio.welcomes["/private"].get(timeout=LIMIT)[0]["nsp"], "/private")

    def private(self, sio, token):
        kinds = KINDS[self.transport]
        if V4:  # has no auth: the server takes the query of the namespace for it
            sio.connect(DIRECT, transports=kinds, namespaces=[f"/private?token={token}"])
        else:
            sio.connect(DIRECT, transports=kinds, namespaces=["/private"], auth={"token": token})

    def ack(self):
        sio = self.connected()
        equal(sio.call("echo", 1, timeout=LIMIT), 1)
        self.settled(sio)
        equal(sio.call("echo", {"a": [1, "é🎉", None]}, timeout=LIMIT), {"a": [1, "é🎉", None]})

    def answer(self):
        sio = self.connected()
        sio.on("answer-me", lambda value: {"got": value})
        equal(sio.call("question", [1, "two"], timeout=LIMIT), {"got": [1, "two"]})
        self.settled(sio)
        equal(sio.call("question", "again", timeout=LIMIT), {"got": "again"})

    def binary(self):
        sio = self.connected()
        value = {"bytes": bytes(range(256)), "text": "é"}
        echo = listen(sio, "echo")
        sio.emit("echo", value)
        equal(echo.get(timeout=LIMIT)[0], value)
        self.settled(sio)
        equal(sio.call("echo", value, timeout=LIMIT), value)

    def namespaces(self):
        sio = self.client(["/", "/admin"])
        sio.connect(DIRECT, transports=KINDS[self.transport], namespaces=["/", "/admin"])
        for namespace in ("/", "/admin"):
            equal(sio.welcomes[namespace].get(timeout=LIMIT)[0]["nsp"], namespace)
            equal(sio.call("echo", namespace, namespace=namespace, timeout=LIMIT), namespace)

    def reconnect(self):
        self.comes_back(RELAY)

    def recovery(self):
        return "the client knows no recovery"

    def sticky(self):
        if self.transport == "polling":
            return self.comes_back(BALANCER)
        # The settings of docs/clients.md, as written there.
        sio = self.client()
        url = f"{BALANCER}?tag={self.tag}"
        if self.transport == "websocket":
            sio.connect(url, transports=["websocket"])
        else:
            sio.connect(url)
        self.cut_and_back(sio, BALANCER)

    def comes_back(self, network):
        sio = self.client()
        sio.connect(f"{network}?tag={self.tag}", transports=KINDS[self.transport])
        self.cut_and_back(sio, network)

    def cut_and_back(self, sio, network):
        before = sio.welcomes["/"].get(timeout=LIMIT)[0]["id"]
        self.settled(sio)
        urllib.request.urlopen(f"{network}/cut?tag={self.tag}", timeout=LIMIT).close()
        after = sio.welcomes["/"].get(timeout=LIMIT)[0]["id"]
        assert before != after, "the same id"
        self.settled(sio)
        equal(sio.call("echo", "back", timeout=LIMIT), "back")


def listen(sio, event, namespace="/"):
    events = queue.Queue()
    sio.on(event, lambda *args: events.put(args), namespace=namespace)
    return events


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def run(transport):
    for capability in ("connect", "auth", "ack", "answer", "binary", "namespaces", "reconnect", "recovery", "sticky"):
        cells = Cells(transport)
        line = {"client": CLIENT, "transport": transport, "capability": capability, "result": "ok"}
        try:
            note = getattr(cells, capability)()
            if note:
                line.update(result="n.a.", note=note)
        except Exception as e:
            traceback.print_exc()
            line.update(result="failed", note=repr(e))
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        for sio in cells.opened:
            sio.disconnect()


if __name__ == "__main__":
    threads = [threading.Thread(target=run, args=(transport,)) for transport in KINDS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)  # a client that was never connected may still wait
