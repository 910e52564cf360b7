# Option `storages` of a cache: by name with a number for the order, or a list in the order of preference.
{ lib, keys }:
let
  inherit (lib) mkOption types;
  inherit (import ./named.nix { inherit lib; }) namedOf;
in
mkOption {
  type =
    namedOf
      {
        what = "storage";
        place = order: { inherit order; };
      }
      (
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
