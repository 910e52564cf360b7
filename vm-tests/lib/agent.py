"""Stands in for the agent of Cachix Deploy, which is not to be had everywhere.

usage: agent.py URL NAME TOKEN-FILE PROFILE

Connects to the server and does what it is told as `cachix deploy agent` does it: fetches the path with nothing but the agent's
token, makes it the current generation of the profile, and runs its bin/switch-to-configuration; if that fails, it goes back to
the generation before.
"""

import base64
import datetime
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    def __init__(self, url, path, headers):
        self._socket = socket.create_connection((url.hostname, url.port or 80))
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {url.netloc}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = self._stream.readline().decode()
        if " 101 " not in status:
            raise ConnectionError(f"{path}: {status}")
        while self._stream.readline().strip():
            pass

    def _send(self, kind, payload):
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | length)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, length)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self._socket.sendall(head + mask + masked)

    def send(self, message):
        self._send(TEXT, json.dumps(message).encode())

    def _frame(self):
        head = self._stream.read(2)
        if len(head) < 2:
            return CLOSE, b""
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._stream.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._stream.read(8))
        return head[0] & 0x0F, self._stream.read(length)

    def messages(self):
        """Until the server ends it."""
        while True:
            kind, payload = self._frame()
            if kind == PING:
                self._send(PONG, payload)
            elif kind == CLOSE:
                return
            elif kind in (TEXT, BINARY):
                yield json.loads(payload)

    def close(self):
        self._send(CLOSE, struct.pack("!H", 1000))
        for _ in self.messages():
            pass
        self._socket.close()


class Agent:
    def __init__(self, url, name, token, profile):
        self._url, self._name, self._token, self._profile = urlsplit(url), name, token, profile
        self._cache = None

    def _connect(self, path):
        headers = {"Authorization": f"Bearer {self._token}", "name": self._name}
        return WebSocket(self._url, path, headers | {"version": "1.11.1", "system": "x86_64-linux"})

    def serve(self):
        for message in self._connect("/ws").messages():
            command = message["command"]
            if command["tag"] == "AgentRegistered":
                self._cache = command["contents"]["cache"]
                print("registered", flush=True)
            elif command["tag"] == "Deployment":
                self._deploy(command["contents"]["id"], command["contents"]["storePath"])

    def _deploy(self, deployment, path):
        work = self._connect("/ws-deployment")
        log = self._connect(f"/api/v1/deploy/log/{deployment}")

        def report(tag, **fields):
            command = {"tag": tag, "id": deployment, "time": now(), **fields}
            work.send({"method": tag, "command": command, "agent": None, "id": str(uuid.uuid4())})

        def run(*command):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            for line in [f"$ {' '.join(command)}", *done.stdout.splitlines()]:
                log.send({"line": line, "time": now()})
                print(line, flush=True)
            return done.returncode == 0

        report("DeploymentStarted", closureSize=None)
        succeeded = self._fetch(run, path) and self._activate(run, path)
        verdict = "Successfully activated" if succeeded else "Failed to activate"
        log.send({"line": f"{verdict} the deployment.", "time": now()})
        log.close()
        report("DeploymentFinished", hasSucceeded=succeeded)
        work.close()

    def _fetch(self, run, path):
        name = self._cache["cacheName"]
        host = f"{name}.{self._url.hostname}"
        with tempfile.NamedTemporaryFile("w") as netrc:
            netrc.write(f"machine {host} password {self._token}\n")
            netrc.flush()
            options = {
                "extra-substituters": f"http://{name}.{self._url.netloc}",
                "trusted-public-keys": f"{host}-1:{self._cache['publicKey']}",
                "netrc-file": netrc.name,
                "narinfo-cache-negative-ttl": "0",
            }
            arguments = [word for option in options.items() for word in ("--option", *option)]
            return run("nix-store", "--realise", path, *arguments)

    def _activate(self, run, path):
        if not run("nix-env", "--profile", self._profile, "--set", path):
            return False
        if run(f"{self._profile}/bin/switch-to-configuration", "switch"):
            return True
        if run("nix-env", "--profile", self._profile, "--rollback"):
            run(f"{self._profile}/bin/switch-to-configuration", "switch")
        return False


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main():
    url, name, token_file, profile = sys.argv[1:]
    with open(token_file, encoding="ascii") as file:
        agent = Agent(url, name, file.read().strip(), profile)
    while True:
        try:
            agent.serve()
        except OSError as error:
            print(error, flush=True)
        # As cachix does, whatever the reason.
        time.sleep(1)


if __name__ == "__main__":
    main()
