# What is different on NixOS from what keys.json says, by section and key: its `type`, what its default is `derived` from,
# whether it is `required`, whether the file that it names is handed over as a `credential`, or a `note` that follows the
# description.
{ types, optionTypes }:
let
  tls = {
    certificate = {
      type = types.path;
      credential = true;
      note = renewal;
    };
    key.note = renewal;
    client-authorities = {
      type = types.either types.path (types.listOf types.path);
      credential = true;
    };
  };
  renewal = ''
    A renewed file takes a restart, unless {option}`services.cache-server.certificateGroup` lets the daemon read it by
    itself.
  '';
in
{
  server = {
    hostname.note = "Behind nginx on the same machine the default is right.";
    public-url.note = "{option}`services.cache-server.nginx.enable` sets it.";
    database.note = ''
      A password must not be in the URL, because everybody may read the Nix store: use
      {option}`services.cache-server.settings.server.database-password-file`.
    '';
    state-dir = {
      type = optionTypes.place;
      derived = "`/var/lib/cache-server`, which systemd makes and owns";
    };
    admin-socket = {
      type = optionTypes.place;
      derived = "`/run/cache-server/admin.sock`, where {command}`cachectl` looks for it";
    };
    admin-socket-group.derived = "the group of {option}`services.cache-server.adminGroup`";
    key-file.note = "Without it, the daemon makes a key at its first start and keeps it in the state directory.";
    default-port.note = "The first cache is the first one by name.";
    tls.keys = tls;
  };
  cache = {
    # Lists only, which several modules can add to.
    trusted-public-keys.type = types.listOf types.str;
    # ../server/upstreams.nix has the option.
    upstreams.type = types.listOf types.str;
    federation.keys.keep-max-size.type = types.either types.ints.positive types.str;
    tls.keys = removeAttrs tls [ "client-authorities" ];
  };
  storage = {
    max-size.type = types.either types.ints.positive types.str;
    # For buckets only.
    s3_bucket.required = false;
  };
  upstream = {
    # A list only, which several modules can add to.
    public-keys.type = types.listOf types.str;
  };
  workspace = { };
  agent = { };
  oidc = { };
  oidc-rule = { };
  client-certificate = { };
}
