NIX = "nix --extra-experimental-features nix-command --option netrc-file /root/netrc"

start_all()
server.wait_for_unit("cache-server.service")
token = server.succeed("cachectl token create --cache main --permission write --expires 1h").strip()
client.succeed(f"echo machine server password {token} > /root/netrc")


def make(name, size):
    return client.succeed(f"head -c {size} /dev/urandom > /root/{name}; nix-store --add /root/{name}").strip()


small, large = make("small", "100K"), make("large", "40M")
client.succeed(f"{NIX} copy --to http://server:8080 {small}")
narinfo = f"http://server:5000/api/v1/cache/main/{small.removeprefix('/nix/store/')[:32]}.narinfo"
nar = client.succeed(f"curl --fail --silent {narinfo} | sed -n 's/^URL: //p'").strip()

for reader, url in {"narinfo": narinfo, "nar": f"http://server:8080/{nar}"}.items():
    client.succeed(f"mkdir /root/{reader}; systemd-run --unit=load-{reader} bash /etc/load {url} /root/{reader}")
    client.wait_until_succeeds(f"test -s /root/{reader}/asked")
in_background = "systemd-run --property=RemainAfterExit=yes --setenv=HOME=/root"
client.succeed(
    # Its NAR is sent at once; the daemon may be replaced before the narinfo.
    f"{in_background} --unit=push $(command -v nix) --extra-experimental-features nix-command "
    f"--option netrc-file /root/netrc copy --to 'http://server:8080?compression=zstd' {large}",
    # As slow as a bad line: these are under way when the daemon is told to stop, and it waits for them.
    f"nix-store --dump {large} > /root/large.nar",
    f"{in_background} --unit=upload $(command -v curl) --fail --silent --netrc-file /root/netrc --limit-rate 10M "
    "--upload-file /root/large.nar "
    "http://server:8080/nar/$(nix-hash --type sha256 --flat --base32 /root/large.nar).nar",
)

with subtest("the daemon is replaced five times"):
    pids: set[str] = set()
    for _ in range(5):
        asked = int(client.succeed("wc -l < /root/nar/asked"))
        server.succeed("systemctl restart cache-server.service")
        pids.add(server.get_unit_property("cache-server.service", "MainPID"))
        # Each one gets to answer.
        client.wait_until_succeeds(f"test $(wc -l < /root/nar/asked) -gt {asked + 5}")
    assert len(pids) == 5, pids

with subtest("no request has failed"):
    for reader in ("narinfo", "nar"):
        client.succeed(f"touch /root/{reader}/stop")
        client.wait_until_fails(f"systemctl is-active load-{reader}.service")
        failed = client.succeed(f"cat /root/{reader}/failed")
        assert failed == "", failed

with subtest("neither have the pushes that were under way"):
    for unit in ("push", "upload"):
        client.wait_until_succeeds(f"systemctl show --property=SubState {unit}.service | grep -E 'exited|failed'")
        assert client.get_unit_property(f"{unit}.service", "Result") == "success", unit
    client.succeed(f"{NIX} copy --no-check-sigs --from http://server:8080 --to /tmp/copy {large}")

with subtest("cachectl finds the daemon at the same socket"):
    server.succeed("cachectl status")

with subtest("changes of the configuration take no restart, and faults are found"):
    config = "/etc/cache-server/config.yaml"
    pid = server.get_unit_property("cache-server.service", "MainPID")
    # Of a link into the store this makes a file.
    server.succeed(f"sed --in-place 's/^caches:/caches:\\n  - name: second/' {config}")
    server.succeed("systemctl reload cache-server.service")
    client.succeed("curl --fail --silent http://server:5000/api/v1/cache/second/nix-cache-info")
    server.succeed(f"sed --in-place 's/name: second/nam: second/' {config}")
    server.fail("systemctl reload cache-server.service")
    client.succeed("curl --fail --silent http://server:5000/api/v1/cache/second/nix-cache-info")
    assert server.get_unit_property("cache-server.service", "MainPID") == pid
