# NixOS modules of cache-server: the server, and machines that fetch from it and push to it.
{
  imports = [
    ./server
    ./client
  ];
}
