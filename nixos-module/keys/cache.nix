# Keys of an entry of `caches`, but for `name` and `storages`.
{ types }:
{
  enabled = {
    type = types.bool;
    default = true;
    description = "A cache that is not enabled is not served. Its data stays.";
  };
  access = {
    type = types.enum [
      "public"
      "private"
    ];
    default = "public";
    description = ''
      Who may read: `public` for everybody, `private` for holders of a token. Writing always takes a token.
    '';
  };
  retention = {
    type = types.ints.positive;
    example = 30;
    description = "Days that a path is kept after its last use. By default `server.default-retention`.";
  };
  port = {
    type = types.port;
    example = 8080;
    description = "A port for this cache alone. By default `server.default-port`, for the first cache that names none.";
  };
  priority = {
    type = types.ints.unsigned;
    default = 30;
    description = "Nix asks caches with lower numbers first. cache.nixos.org has 40.";
  };
  compression = {
    type = types.enum [
      "zstd"
      "xz"
    ];
    default = "zstd";
    description = "What clients are asked to compress with: `zstd` is fast, `xz` is small. Other uploads are taken too.";
  };
  signing = {
    type = types.enum [
      "auto"
      "server"
      "client"
    ];
    default = "auto";
    description = "Who signs; `auto` is the server until a client registers a key while the cache is empty.";
  };
  signing-key-file = {
    type = types.either types.path (types.listOf types.path);
    default = [ ];
    secret = true;
    example = "/run/secrets/main-signing-key";
    description = ''
      One or several files with secret keys, as made by {command}`nix key generate-secret`, that sign side by side. Without
      any, the daemon makes a key.
    '';
  };
  trusted-public-keys = {
    type = types.listOf types.str;
    default = [ ];
    example = [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
    description = "Keys whose signatures are kept beside ours.";
  };
  upstreams = {
    type = types.listOf types.str;
    default = [ ];
    example = [ "https://cache.nixos.org" ];
    description = ''
      Binary caches to ask for what is not here, in this order. Only what one of `trusted-public-keys` has signed is taken, or
      a key that stands behind the URL: `"https://cache.example.org cache.example.org-1:BASE64"`. The key of
      https://cache.nixos.org is known.
    '';
  };
  federation = {
    description = "What becomes of what upstreams and other nodes have.";
    keys = {
      keep = {
        type = types.bool;
        default = false;
        description = ''
          Keep what readers fetched from there, like what is pushed: until nothing has used it for the days of `retention`.
        '';
      };
      keep-max-size = {
        type = types.either types.ints.positive types.str;
        example = "100GB";
        description = ''
          Size of the cache above which the least recently used paths go before that. What is pinned stays. What was pushed
          counts and goes as well, so keep what others have in a cache that is there for that.
        '';
      };
    };
  };
  storage-strategy = {
    type = types.enum [
      "round-robin"
      "in-order"
      "split"
      "least-used"
    ];
    description = ''
      How the storage for a new file is picked: the next one in turn, the first one with room, by the shares in `split`, or
      the one with the least used bytes. By default `server.default-storage-strategy`.
    '';
  };
}
