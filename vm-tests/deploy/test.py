import json

API = "http://localhost:5000"
NIX = "nix --extra-experimental-features nix-command --option netrc-file /root/netrc"

start_all()
server.wait_for_unit("cache-server.service")
server.wait_for_unit("nginx.service")
writer = server.succeed("cachectl token create --cache main --permission write --expires 1h").strip()
operator = server.succeed("cachectl token create --workspace production --permission activate --expires 1h").strip()
agent = server.succeed("cachectl agent token webserver").strip()
server.succeed(f"echo machine localhost password {writer} > /root/netrc")
webserver.succeed(f"install -D --mode=600 /dev/stdin /var/lib/secrets/agent-token <<< '{agent}'")


def push(version, outcome):
    """A system that says which one it is when it is activated, and then ends with `outcome`."""
    script = f"#!/bin/sh\\necho {version} > /run/version\\nexit {outcome}\\n"
    server.succeed(
        f"mkdir -p /root/{version}/bin",
        f"printf '{script}' > /root/{version}/bin/switch-to-configuration",
        f"chmod +x /root/{version}/bin/switch-to-configuration",
    )
    path = server.succeed(f"nix-store --add /root/{version}").strip()
    server.succeed(f"{NIX} copy --to {API}/api/v1/cache/main {path}")
    return path


def activate(path):
    request = json.dumps({"agents": {"webserver": path}})
    answer = server.succeed(
        f"curl --fail --silent --header 'Authorization: Bearer {operator}' --header 'Content-Type: application/json' "
        f"--data '{request}' {API}/api/v2/deploy/activate"
    )
    return json.loads(answer)["agents"]["webserver"]["id"]


def status(deployment):
    url = f"{API}/api/v1/deploy/deployment/{deployment}"
    return f"curl --fail --silent --header 'Authorization: Bearer {operator}' {url}"


def current():
    return webserver.succeed("readlink --canonicalize /nix/var/nix/profiles/deployed").strip()


with subtest("a machine switches to a system that was pushed"):
    first = push("first", 0)
    server.wait_until_succeeds(f"{status(activate(first))} | grep Succeeded", timeout=120)
    assert current() == first
    assert webserver.succeed("cat /run/version") == "first\n"

with subtest("it goes back from one that fails"):
    broken = push("broken", 1)
    server.wait_until_succeeds(f"{status(activate(broken))} | grep Failed", timeout=120)
    assert current() == first
    assert webserver.succeed("cat /run/version") == "first\n"

with subtest("a machine that is off gets it when it is back"):
    webserver.shutdown()
    second = push("second", 0)
    deployment = activate(second)
    assert json.loads(server.succeed(status(deployment)))["status"] == "Pending"
    server.succeed("systemctl restart cache-server.service")
    webserver.start()
    server.wait_until_succeeds(f"{status(deployment)} | grep Succeeded", timeout=120)
    assert current() == second

with subtest("the token of a machine opens its cache and nothing else"):
    digest = second.removeprefix("/nix/store/")[:32]
    narinfo = f"{API}/api/v1/cache/main/{digest}.narinfo"
    server.succeed(f"curl --fail --silent --user webserver:{agent} {narinfo}")
    server.fail(f"curl --fail --silent {narinfo}")
    server.fail(
        f"curl --fail --silent --user webserver:{agent} --upload-file /etc/hostname {API}/api/v1/cache/main/nar/x.nar"
    )
