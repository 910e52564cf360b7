# Makes a machine out of fresh namespaces: a store, host names, a network with nothing but itself. Sourced once, before the shell.
ip link set lo up
mkdir -p /nix
mount --bind "$MACHINE/nix" /nix
mount --bind "$MACHINE/hosts" /etc/hosts
# Nothing that runs on the real machine is to be seen, and nothing of the real one is to be changed.
mount -t tmpfs tmpfs /run
mkdir -p /var/lib/secrets
mount -t tmpfs tmpfs /var/lib/secrets
