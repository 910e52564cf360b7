# The file in which Nix looks up passwords, made of the tokens at each start.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.cache-server-client;
  withToken = lib.filterAttrs (_: cache: cache.tokenFile != null) cfg.caches;
  scripts = import ./scripts.nix { inherit lib; };
  quote = import ../lib/quote.nix { inherit lib; };
  unitText = import ../lib/unit-text.nix { inherit lib; };

  # No cache has a name with a dot.
  other = number: "netrc.${toString number}";
  credential = name: "\"$CREDENTIALS_DIRECTORY\"/${quote name}";
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
      serviceConfig = import ../lib/hardening.nix { privateNetwork = true; } // {
        Type = "oneshot";
        RemainAfterExit = true;
        RuntimeDirectory = "cache-server-client";
        RuntimeDirectoryMode = "0700";
        RuntimeDirectoryPreserve = true;
        UMask = "0077";
        LoadCredential =
          lib.mapAttrsToList (name: cache: "${name}:${unitText.whole cache.tokenFile}") withToken
          ++ lib.imap1 (number: file: "${other number}:${unitText.whole file}") cfg.netrcFiles;
      };
      script = scripts.netrc {
        directory = "$RUNTIME_DIRECTORY";
        caches = withToken;
        tokenOf = name: _: credential name;
        others = lib.imap1 (number: _: credential (other number)) cfg.netrcFiles;
      };
    };
  };
}
