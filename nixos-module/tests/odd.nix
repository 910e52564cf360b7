# Machines that are built in unusual ways: each only has to evaluate.
{
  configure,
  lib,
  nixpkgs,
  pkgs,
}:
let
  server = ./configurations/simple.nix;
  client = ./configurations/client.nix;
  has = name: builtins.pathExists (nixpkgs + "/nixos/modules/${name}.nix");
  profile = name: nixpkgs + "/nixos/modules/profiles/${name}.nix";
in
lib.mapAttrs (_: configure) {
  container = [
    server
    {
      boot.isContainer = true;
      fileSystems = lib.mkForce { };
    }
  ];
  inside-a-container = [
    {
      containers.cache.config = {
        imports = [
          ../.
          server
        ];
        nixpkgs.pkgs = pkgs;
        system.stateVersion = lib.trivial.release;
      };
    }
  ];
  minimal = [
    server
    client
    (profile "minimal")
  ];
  perlless = [
    server
    (profile "perlless")
  ];
  nftables = [
    server
    { networking.nftables.enable = true; }
  ];
  users-by-systemd = [
    ./configurations/storages.nix
    {
      systemd.sysusers.enable = true;
      users.mutableUsers = false;
      users.allowNoPasswordLogin = true;
    }
  ];
  fixed-users = [
    ./configurations/storages.nix
    {
      users.mutableUsers = false;
      users.allowNoPasswordLogin = true;
    }
  ];
  overlay-etc = [
    server
    client
    {
      system.etc.overlay.enable = true;
      systemd.sysusers.enable = true;
      boot.initrd.systemd.enable = true;
    }
  ];
  imported-twice = [
    server
    ../server
    ../client
    ../.
  ];
  not-the-client = [
    server
    { disabledModules = [ ../client ]; }
  ];
  without-nix = [
    client
    { nix.enable = false; }
  ];
  for-another-processor = [
    server
    {
      nixpkgs.pkgs = lib.mkForce pkgs.pkgsCross.aarch64-multiplatform;
    }
  ];
  own-virtual-host = [
    ./configurations/nginx.nix
    {
      services.cache-server.nginx = {
        locations."= /robots.txt".return = "200 'Disallow: /'";
        extraConfig = "add_header X-Robots-Tag none;";
        serverAliases = [ "nix.example.org" ];
        http2 = false;
      };
    }
  ];
  own-certificate = [
    ./configurations/wildcard.nix
    {
      services.cache-server.nginx = {
        useACMEHost = lib.mkForce null;
        onlySSL = true;
        sslCertificate = "/var/lib/secrets/certificate.pem";
        sslCertificateKey = "/var/lib/secrets/key.pem";
      };
    }
  ];
  with-its-database = [
    server
    {
      services.cache-server.settings.server.database =
        "postgres://cache-server@%2Frun%2Fpostgresql/cache-server";
      services.postgresql = {
        enable = true;
        ensureDatabases = [ "cache-server" ];
        ensureUsers = [
          {
            name = "cache-server";
            ensureDBOwnership = true;
          }
        ];
      };
    }
  ];
}
# What older versions of nixpkgs lack.
// lib.optionalAttrs (has "services/system/userborn") {
  users-by-userborn = configure [
    ./configurations/storages.nix
    { services.userborn.enable = true; }
  ];
}
// lib.optionalAttrs (pkgs ? lix) {
  another-implementation-of-nix = configure [
    client
    { nix.package = pkgs.lix; }
  ];
}
