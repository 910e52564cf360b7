"""One Ethernet for the machines of a scenario: a bridge in our network namespace, and a namespace for each machine."""

import subprocess

BRIDGE = "machines"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Network:
    def __init__(self):
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")

    def join(self, number):
        """A network namespace with the address 192.168.1.NUMBER, as the NixOS test driver gives it."""
        return Port(number)

    def close(self):
        ip("link", "delete", BRIDGE)


class Port:
    def __init__(self, number):
        self.address = f"192.168.1.{number}"
        self.namespace = f"machine{number}"
        self._plug = f"port{number}"
        ip("netns", "add", self.namespace)
        ip("link", "add", self._plug, "type", "veth", "peer", "name", "eth1", "netns", self.namespace)
        ip("link", "set", self._plug, "master", BRIDGE, "up")
        ip("-n", self.namespace, "link", "set", "lo", "up")
        self.attach()

    def attach(self):
        """Sets up the end in the namespace, which containers leave as they like."""
        ip("-n", self.namespace, "link", "set", "eth1", "up")
        ip("-n", self.namespace, "address", "replace", f"{self.address}/24", "dev", "eth1")

    def plug(self, connected):
        """Puts the cable in or pulls it out."""
        ip("link", "set", self._plug, "up" if connected else "down")

    def close(self):
        # Its other end goes with it at once; with the namespace both would go some time.
        ip("link", "delete", self._plug)
        ip("netns", "delete", self.namespace)
