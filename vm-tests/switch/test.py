start_all()
server.wait_for_unit("cache-server.service")

base = server.succeed("readlink --canonicalize /run/current-system").strip()


def switch(name: str, succeeds: bool = True) -> None:
    program = f"{base}/specialisation/{name}/bin" if name else f"{base}/bin"
    command = f"{program}/switch-to-configuration test"
    if succeeds:
        server.succeed(command)
    else:
        server.execute(command)


def answers(port: int, cache: str = "main") -> str:
    return f"curl --fail --silent http://server:{port}/api/v1/cache/{cache}/nix-cache-info"


def refuses(port: int) -> None:
    # 7: nobody listens there.
    status, _ = client.execute(f"curl --silent --max-time 20 http://server:{port}/")
    assert status == 7, status


def start_load(port: int) -> None:
    client.succeed(f"mkdir --parents /root/{port}; rm -f /root/{port}/*")
    client.succeed(f"systemd-run --collect --unit=load-{port} bash /etc/load {answers(port).split()[-1]} /root/{port}")
    client.wait_until_succeeds(f"test -s /root/{port}/asked")


def end_load(port: int) -> None:
    """Not one request has failed, and the last ones were answered by what runs now."""
    asked = int(client.succeed(f"wc -l < /root/{port}/asked"))
    client.wait_until_succeeds(f"test $(wc -l < /root/{port}/asked) -gt {asked + 5}")
    client.succeed(f"touch /root/{port}/stop")
    client.wait_until_fails(f"systemctl is-active load-{port}.service")
    failed = client.succeed(f"cat /root/{port}/failed")
    assert failed == "", failed


with subtest("a cache with a port of its own is added"):
    server.fail("curl --silent http://localhost:8081/")
    start_load(5000)
    start_load(8080)
    switch("added")
    client.wait_until_succeeds(answers(8081, "second"), timeout=60)
    client.succeed(answers(5000, "second"))

with subtest("the next restart finds all of its ports"):
    server.succeed("systemctl restart cache-server.service")
    client.succeed(answers(8081, "second"))
    end_load(5000)

with subtest("the port of the API and that of a cache are changed"):
    switch("moved")
    client.wait_until_succeeds(answers(5100, "second"), timeout=60)
    client.succeed(answers(8090, "second"))
    refuses(5000)
    refuses(8081)
    end_load(8080)

with subtest("the default port is changed"):
    switch("")
    client.wait_until_succeeds(answers(5000), timeout=60)
    start_load(5000)
    switch("default")
    client.wait_until_succeeds(answers(8180), timeout=60)
    refuses(8080)
    switch("")
    client.wait_until_succeeds(answers(8080), timeout=60)
    refuses(8180)
    end_load(5000)

with subtest("a port that something else has is all that is missing"):
    server.succeed("systemd-run --unit=other python3 -m http.server 8085")
    server.wait_for_open_port(8085)
    start_load(5000)
    start_load(8080)
    # NixOS says so, and the system is there all the same.
    switch("busy", succeeds=False)
    client.wait_until_succeeds(answers(5000, "second"), timeout=60)
    server.succeed("systemctl is-active cache-server.service")
    assert "8085" in server.succeed("cachectl status")
    assert "8085" in server.execute("cachectl doctor")[1]

with subtest("it is opened once it is free"):
    server.execute("systemctl stop other.service")
    client.wait_until_succeeds(answers(8085, "second"), timeout=60)
    switch("")
    end_load(5000)
    end_load(8080)

with subtest("the address is changed, and changed back"):
    switch("local")
    server.wait_until_succeeds("curl --fail --silent http://localhost:5000/api/v1/cache/main", timeout=60)
    refuses(5000)
    switch("")
    client.wait_until_succeeds(answers(5000), timeout=60)

with subtest("nothing is left to complain of"):
    server.succeed("systemctl is-active cache-server.service")
    failed = server.succeed("systemctl list-units --state=failed --no-legend 'cache-server*'").strip()
    assert failed == "", failed
    listening = server.succeed("cachectl status")
    assert "8080" in listening and "8081" not in listening, listening
