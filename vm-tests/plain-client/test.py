start_all()
server.wait_for_unit("cache-server.service")
token = server.succeed("cachectl token create --cache main --permission write --expires 1h").strip()

with subtest("the files are installed as their README says"):
    lib = "/usr/local/lib/cache-server-client"
    client.succeed(
        # NixOS keeps /etc/systemd/system to itself.
        "install -Dm644 -t /run/systemd/system /etc/plain/cache-server-push@.service /etc/plain/cache-server-push@.path",
        f"install -Dm644 -t {lib} /etc/plain/push.sh",
        f"install -Dm755 -t {lib} /etc/plain/post-build-hook",
        "systemctl daemon-reload",
        "install -Dm644 /dev/stdin /etc/cache-server-client/main <<< 'url=http://server:8080?compression=zstd'",
        f"install -Dm600 /dev/stdin /etc/nix/netrc <<< 'machine server login token password {token}'",
        "systemctl start cache-server-push@main.path",
    )


def build(name: str) -> str:
    hook = f"--option post-build-hook {lib}/post-build-hook"
    return client.succeed(f"nix-build /etc/system.nix --argstr name {name} --no-out-link {hook} 2>/dev/null").strip()


queue = "/nix/var/nix/gcroots/cache-server-client/main"
fetch = "nix --extra-experimental-features nix-command copy --no-check-sigs --from http://server:8080 --to"

with subtest("what is built is pushed"):
    system = build("one")
    client.wait_until_succeeds(f'test -z "$(ls -A {queue})"', timeout=120)
    client.succeed(f"{fetch} /tmp/one {system}")
    # The token that was made is in the audit log.
    assert "token" in server.succeed("head -1 /var/log/cache-server/audit.jsonl")

with subtest("what is built while the server is away is pushed later"):
    server.shutdown()
    system = build("two")
    client.succeed(f"test -h {queue}/{system.removeprefix('/nix/store/')}")
    server.start()
    client.wait_until_succeeds(f'test -z "$(ls -A {queue})"', timeout=300)
    client.succeed(f"{fetch} /tmp/two {system}")

with subtest("the service has little in reach"):
    client.succeed("systemd-analyze security --threshold=20 cache-server-push@main.service")
