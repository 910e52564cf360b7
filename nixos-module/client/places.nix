# Where the client keeps what it needs.
{
  # The passwords, for Nix.
  netrc = "/run/cache-server-client/netrc";

  # What is to be pushed to a cache: links to the paths, in a directory of roots, which keeps the paths from garbage collection
  # until they are pushed.
  queueOf = name: "/nix/var/nix/gcroots/cache-server-client/${name}";
}
