{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    cache-server.url = "git+https://git.example.org/cache-server";
  };

  outputs =
    { nixpkgs, cache-server, ... }:
    {
      nixosConfigurations.server = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          ./configuration.nix
          cache-server.nixosModules.default
          ./server.nix
        ];
      };
    };
}
