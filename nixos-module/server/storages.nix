# Option `storages` of a cache: a list in the order of preference, or attributes that say their order.
{ lib, keys }:
let
  inherit (lib) mkOption types;

  # The list becomes attributes, so that there is one form to document and to work with.
  toAttrs =
    storages:
    let
      names = map (
        storage: storage.name or (throw "services.cache-server: a storage has no `name`")
      ) storages;
      twice = lib.findFirst (name: lib.count (other: other == name) names > 1) null names;
      entry =
        order: storage:
        lib.nameValuePair storage.name (removeAttrs storage [ "name" ] // { inherit order; });
    in
    if twice != null then
      throw "services.cache-server: two storages of a cache are called `${twice}`"
    else
      lib.listToAttrs (lib.imap1 entry storages);
in
mkOption {
  type = types.coercedTo (types.listOf (types.attrsOf types.anything)) toAttrs (
    types.attrsOf (
      keys.section keys.storage {
        order = mkOption {
          type = types.int;
          default = 1000;
          description = ''
            Where the storage comes in the list, which the strategy `in-order` follows: lower numbers first, equal ones by
            name. In a list it is the place there.
          '';
        };
      }
    )
  );
  default = { };
  example = [
    {
      name = "ssd";
      root = "/mnt/ssd";
      max-size = "500GB";
    }
    {
      name = "offsite";
      type = "s3";
      s3_bucket = "cache";
      s3_endpoint = "https://s3.example.org";
      s3_access_key_file = "/run/secrets/s3-access-key";
      s3_secret_key_file = "/run/secrets/s3-secret-key";
    }
  ];
  description = ''
    Where the files of the cache live, by name or as a list in which each has a `name`. Each is a Nix binary cache of its
    own below `root/NAME`. With none there is one in the state directory.

    A storage that is removed here while it holds files keeps them; empty it first with
    {command}`cachectl storage drain`.
  '';
}
