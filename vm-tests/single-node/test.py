start_all()
server.wait_for_unit("cache-server.service")
server.wait_for_unit("nginx.service")

with subtest("who is in the group may use cachectl, and nobody else"):
    token = server.succeed(
        "runuser -u operator -- cachectl token create --cache main --permission write --expires 1h"
    ).strip()
    server.fail("runuser -u nobody -- cachectl status")
    operator = server.succeed("id --user operator").strip()
    server.succeed(f"journalctl --unit=cache-server.service --grep='admin socket uid={operator} '")

with subtest("what a machine builds is pushed"):
    builder.succeed(f"install -Dm600 /dev/stdin /var/lib/secrets/cache-token <<< '{token}'")
    builder.succeed("systemctl restart cache-server-client-netrc.service")
    system = builder.succeed("nix-build /etc/system.nix --no-out-link 2>/dev/null").strip()
    builder.wait_until_succeeds('test -z "$(ls -A /nix/var/nix/gcroots/cache-server-client/main)"')
    # Another hook runs as well.
    assert len(builder.succeed("cat /tmp/built").split()) == 3

with subtest("another machine gets it from the cache, with all that it needs"):
    client.fail(f"test -e {system}")
    client.succeed(f"nix-env --profile /nix/var/nix/profiles/system-of-the-test --set {system}")
    assert client.succeed("sh /nix/var/nix/profiles/system-of-the-test") == "hello from system\n"
    client.succeed(f"nix-store --verify-path $(nix-store --query --requisites {system})")

with subtest("a key that is not trusted is not enough"):
    copy = "nix --extra-experimental-features nix-command copy"
    there = "--from http://main.cache.example.org --to /tmp/elsewhere"
    client.succeed(f"{copy} {there} {system}")
    told = client.fail(f"rm -rf /tmp/elsewhere; {copy} {there} --option trusted-public-keys '' {system} 2>&1")
    assert "signature" in told, told

with subtest("pushing takes a token"):
    other = client.succeed("nix-store --add /etc/hostname").strip()
    told = client.fail(f"{copy} --to http://main.cache.example.org {other} 2>&1")
    assert "401" in told, told

with subtest("it is all there after a power cut"):
    server.crash()
    server.start()
    server.wait_for_unit("cache-server.service")
    digest = system.removeprefix("/nix/store/")[:32]
    client.wait_until_succeeds(f"curl --fail --silent http://main.cache.example.org/{digest}.narinfo")

with subtest("the services have little in reach"):
    server.succeed("systemd-analyze security --threshold=15 cache-server.service")
    for unit in ("netrc", "push-main"):
        builder.succeed(f"systemd-analyze security --threshold=20 cache-server-client-{unit}.service")
