{
  imports = [
    ./server/module.nix
    ./client
  ];

  meta = {
    maintainers = [ ];
    doc = ./cache-server.md;
  };
}
