start_all()
server.wait_for_unit("cache-server.service")

base = server.succeed("readlink --canonicalize /run/current-system").strip()


def switch(name: str) -> None:
    program = f"{base}/specialisation/{name}/bin" if name else f"{base}/bin"
    server.succeed(f"{program}/switch-to-configuration test")


def answers(port: int, cache: str = "main") -> str:
    return f"curl --fail --silent http://server:{port}/api/v1/cache/{cache}/nix-cache-info"


def refuses(port: int) -> None:
    # 7: nobody listens there.
    status, _ = client.execute(f"curl --silent --max-time 20 http://server:{port}/")
    assert status == 7, status


with subtest("clients read from a port that stays"):
    client.succeed(answers(5000))
    client.succeed(f"mkdir /root/load; systemd-run --unit=load bash /etc/load {answers(8080).split()[-1]} /root/load")
    client.wait_until_succeeds("test -s /root/load/asked")
    server.fail("curl --silent http://localhost:8081/")

with subtest("a cache with a port of its own is added"):
    switch("added")
    client.wait_until_succeeds(answers(8081, "second"), timeout=60)
    client.succeed(answers(5000, "second"))

with subtest("ports are changed"):
    switch("moved")
    client.wait_until_succeeds(answers(5100, "second"), timeout=60)
    client.succeed(answers(8090, "second"))
    refuses(5000)
    refuses(8081)

with subtest("no request to the port that stayed has failed"):
    asked = int(client.succeed("wc -l < /root/load/asked"))
    client.wait_until_succeeds(f"test $(wc -l < /root/load/asked) -gt {asked + 5}")
    client.succeed("touch /root/load/stop")
    client.wait_until_fails("systemctl is-active load.service")
    failed = client.succeed("cat /root/load/failed")
    assert failed == "", failed

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
