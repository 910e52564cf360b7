# services.cache-server with the package of this repository.
{
  imports = [
    ./module.nix
    ./package.nix
  ];
}
