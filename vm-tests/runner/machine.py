"""What a test.py sees of a machine: the methods of the NixOS test driver that the scenarios use, with its meaning."""

import shlex
import time

# As the NixOS test driver.
PATIENCE = 900


def retry(condition, what, timeout):
    """Waits for a condition. The delays grow, as looking takes a part of the machine's time."""
    deadline = time.monotonic() + timeout
    delay = 0.05
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(delay)
        delay = min(delay * 1.5, 1)


class Machine:
    def __init__(self, name, container, log):
        self.name = name
        self._container = container
        self._log = lambda message: log(f"{message[:200]}{'…' if len(message) > 200 else ''}")

    def start(self):
        self._log(f"{self.name}: start")
        self._container.start()

    def shutdown(self):
        self._log(f"{self.name}: shut down")
        self._container.shut_down()

    def crash(self):
        self._log(f"{self.name}: crash")
        self._container.crash()

    def is_up(self):
        return self._container.is_running()

    def block(self):
        """Cuts it off from the other machines."""
        self._log(f"{self.name}: block")
        self._container.plug(False)

    def unblock(self):
        self._log(f"{self.name}: unblock")
        self._container.plug(True)

    def execute(self, command, timeout=PATIENCE):
        status, output, _ = self._run(command, timeout)
        return status, output

    def _run(self, command, timeout):
        if not self.is_up():
            self.start()
        return self._container.execute(command, timeout)

    def succeed(self, *commands, timeout=PATIENCE):
        return self._all(commands, timeout, "", lambda status: status == 0)

    def fail(self, *commands, timeout=PATIENCE):
        return self._all(commands, timeout, "has to fail: ", lambda status: status != 0)

    def _all(self, commands, timeout, note, wanted):
        outputs = []
        for command in commands:
            self._log(f"{self.name}: {note}{command}")
            status, output, complaints = self._run(command, timeout)
            if not wanted(status):
                raise AssertionError(f"{self.name}: {note}`{command}` ended with {status}:\n{output}{complaints}")
            outputs.append(output)
        return "".join(outputs)

    def wait_until_succeeds(self, command, timeout=PATIENCE):
        return self._wait_for_status(command, lambda status: status == 0, timeout)

    def wait_until_fails(self, command, timeout=PATIENCE):
        return self._wait_for_status(command, lambda status: status != 0, timeout)

    def _wait_for_status(self, command, wanted, timeout):
        self._log(f"{self.name}: wait for: {command}")
        last = (None, "", "")

        def holds():
            nonlocal last
            # A look that hangs is one that fails.
            last = self._run(command, min(timeout, 60))
            return wanted(last[0])

        try:
            retry(holds, command, timeout)
        except TimeoutError as error:
            raise AssertionError(f"{self.name}: {error}; last with {last[0]}:\n{last[1]}{last[2]}") from error
        return last[1]

    def systemctl(self, arguments):
        return self.execute(f"systemctl {arguments}")

    def get_unit_property(self, unit, name):
        return self.succeed(f"systemctl show --value --property={name} {shlex.quote(unit)}").strip()

    def wait_for_unit(self, unit, timeout=PATIENCE):
        self._log(f"{self.name}: wait for {unit}")

        def is_active():
            _, state = self.systemctl(f"show --value --property=ActiveState {shlex.quote(unit)}")
            if state.strip() == "failed":
                _, status = self.systemctl(f"status --full --no-pager {shlex.quote(unit)}")
                raise AssertionError(f"{self.name}: {unit} has failed:\n{status}")
            return state.strip() == "active"

        retry(is_active, f"{unit} of {self.name} is active", timeout)

    def wait_for_open_port(self, port, timeout=PATIENCE):
        self._wait_for_port(port, timeout, "")

    def wait_for_closed_port(self, port, timeout=PATIENCE):
        self._wait_for_port(port, timeout, "! ")

    def _wait_for_port(self, port, timeout, negation):
        self._wait_for_status(
            f"{negation}bash -c '</dev/tcp/localhost/{port}' 2>/dev/null", lambda status: status == 0, timeout
        )
