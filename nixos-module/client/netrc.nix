# The file in which Nix looks up passwords, made of the tokens at each start.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.cache-server-client;
  withToken = lib.filterAttrs (_: cache: cache.tokenFile != null) cfg.caches;
  inherit (import ./urls.nix { inherit lib; }) hostOf;
in
{
  config = lib.mkIf (withToken != { }) {
    systemd.services.cache-server-client-netrc = {
      description = "Passwords of binary caches for Nix";
      wantedBy = [ "multi-user.target" ];
      before = [
        "nix-daemon.service"
        "multi-user.target"
      ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        RuntimeDirectory = "cache-server-client";
        RuntimeDirectoryMode = "0700";
        RuntimeDirectoryPreserve = true;
        UMask = "0077";
        LoadCredential = lib.mapAttrsToList (name: cache: "${name}:${toString cache.tokenFile}") withToken;
      };
      # The server takes any login. Without one, curl 7.88 and others find the password of the last machine only.
      script = ''
        {
      ''
      + lib.concatStrings (
        lib.mapAttrsToList (name: cache: ''
          printf 'machine %s login token password %s\n' ${lib.escapeShellArg (hostOf cache.url)} "$(cat "$CREDENTIALS_DIRECTORY"/${lib.escapeShellArg name})"
        '') withToken
      )
      + ''
        } > "$RUNTIME_DIRECTORY/netrc.new"
        mv "$RUNTIME_DIRECTORY/netrc.new" "$RUNTIME_DIRECTORY/netrc"
      '';
    };
  };
}
