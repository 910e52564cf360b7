# Keys of the section `server`.
{ types }:
let
  duration = types.strMatching "[0-9].*" // {
    description = "time such as 30s, 90min, 24h or 7days";
  };
  size = types.either types.ints.unsigned types.str;
  text = types.str;
  # Not `types.path`, as a path literal would be copied into the store.
  place = types.strMatching "/.*" // {
    description = "absolute path";
  };
in
{
  hostname = {
    type = text;
    default = "localhost";
    example = "::";
    description = ''
      Address or host name to listen on. `0.0.0.0` is every address, `::` every address with IPv6. Behind nginx on the same
      machine the default is right.
    '';
  };
  server-port = {
    type = types.port;
    default = 5000;
    description = ''
      Port of the API. Every cache is reachable here too, as `NAME.HOST` and as `/api/v1/cache/NAME/`.
    '';
  };
  deploy-port = {
    type = types.port;
    default = 5001;
    description = "Second port for the agents of Cachix Deploy. They may use `server-port` as well.";
  };
  public-url = {
    type = text;
    example = "https://cache.example.org";
    description = ''
      How clients reach this server. Its host is the `HOST` of `NAME.HOST`, in the URLs of the caches and in the names of
      signing keys. {option}`services.cache-server.nginx.enable` sets it.
    '';
  };
  node-url = {
    type = text;
    example = "http://node-1.internal:5000";
    description = ''
      How other daemons that share the database reach this one, by plain HTTP. By default `http://HOSTNAME:SERVER-PORT`.
    '';
  };
  database = {
    type = text;
    default = "db.sqlite";
    example = "postgres://cache-server@db.example.org/cache-server";
    description = ''
      The catalog: name of a SQLite file in the state directory, `sqlite://FILE`, or `postgres://USER@HOST/DATABASE`. A
      password must not be in it, as everybody may read the Nix store: see `database-password-file`.
    '';
  };
  database-password-file = {
    type = types.path;
    secret = true;
    example = "/run/secrets/cache-database-password";
    description = "File with the password for the PostgreSQL database.";
  };
  state-dir = {
    type = place;
    description = ''
      Where the daemon keeps what it makes: catalog, keys, the default storage. Left out, it is `/var/lib/cache-server`,
      which systemd makes and owns.
    '';
  };
  admin-socket = {
    type = place;
    description = ''
      Unix socket for {command}`cachectl`, which looks for it at the place that the module gives it,
      `/run/cache-server/admin.sock`.
    '';
  };
  admin-socket-mode = {
    type = types.strMatching "0?[0-7]{3}";
    default = "0660";
    description = "Permissions of that socket. Who may use it may do everything.";
  };
  admin-socket-group = {
    type = text;
    description = ''
      Group of that socket. Left out, it is that of {option}`services.cache-server.adminGroup`.
    '';
  };
  key-file = {
    type = types.path;
    secret = true;
    example = "/run/secrets/cache-server-key";
    description = ''
      File with the secret that tokens are signed with, as made by `openssl rand -hex 32`. Who has it can make any token.
      Without it, the daemon makes one at its first start and keeps it in the state directory.
    '';
  };
  default-port = {
    reload = true;
    type = types.port;
    default = 8080;
    description = ''
      Port for the first enabled cache, by name, that has none. Others without one are reachable on `server-port` only.
    '';
  };
  default-retention = {
    reload = true;
    type = types.ints.positive;
    default = 4;
    description = "Days that caches keep what nobody uses, where they do not say.";
  };
  default-storage = {
    reload = true;
    type = types.enum [
      "local"
      "s3"
    ];
    default = "local";
    description = "Type of storages that do not say.";
  };
  default-storage-strategy = {
    reload = true;
    type = types.enum [
      "round-robin"
      "in-order"
      "split"
      "least-used"
    ];
    default = "round-robin";
    description = "Strategy of caches that do not say.";
  };
  log = {
    description = "What is logged, and how.";
    keys = {
      filter = {
        reload = true;
        type = text;
        default = "info";
        example = "info,cache_server=debug";
        description = "How much: `error`, `warn`, `info`, `debug` or `trace`, also per part.";
      };
      format = {
        type = types.enum [
          "text"
          "json"
        ];
        default = "text";
        description = "`text` for people, `json` for machines.";
      };
    };
  };
  drain-timeout = {
    reload = true;
    type = duration;
    default = "30s";
    description = "How long running transfers may go on when the daemon is told to stop.";
  };
  deploy-timeout = {
    reload = true;
    type = duration;
    default = "2h";
    description = ''
      How long a deployment may take once its agent has begun. One that takes longer counts as failed.
    '';
  };
  deploy-pending-timeout = {
    reload = true;
    type = duration;
    default = "7days";
    description = "How long a deployment waits for an agent that is offline. Then it is cancelled.";
  };
  upload-expiry = {
    type = duration;
    default = "24h";
    description = "Age at which an unfinished upload is thrown away.";
  };
  gc-interval = {
    reload = true;
    type = types.either (types.enum [ "off" ]) duration;
    default = "12h";
    description = ''
      How often paths are removed that nothing has used for the `retention` of their cache, that no pin holds, and that
      nothing refers to which is kept; `off` for never by itself. {command}`cachectl gc` does it at once.
    '';
  };
  gc-grace = {
    reload = true;
    type = duration;
    default = "1h";
    description = "How long a path stays after it was pushed or asked for, whatever is asked of {command}`cachectl gc`.";
  };
  max-connections = {
    type = types.ints.positive;
    default = 4096;
    description = "Most client connections at a time.";
  };
  narinfo-memory = {
    type = size;
    default = "64 MiB";
    description = "Most memory for narinfo replies that are kept ready.";
  };
  standalone = {
    type = types.bool;
    default = false;
    description = "Stay alone: neither tell other nodes what is here nor ask them for what is not.";
  };
  dht-port = {
    type = types.port;
    default = 4222;
    description = "UDP port of the DHT by which nodes find each other.";
  };
  dht-bind-address = {
    type = text;
    description = "IPv4 address that the DHT listens on. By default that of `hostname`.";
  };
  dht-public-address = {
    type = text;
    example = "203.0.113.7";
    description = "IPv4 address under which other nodes find this one, where they cannot tell by themselves.";
  };
  dht-bootstrap-host = {
    type = types.either text (types.listOf text);
    default = [ ];
    example = [ "cache-1.example.org" ];
    description = "Nodes to enter the DHT through. The first node of a network names none.";
  };
  dht-bootstrap-port = {
    type = types.port;
    default = 4222;
    description = "UDP port of the bootstrap hosts.";
  };
  dht-network-key-file = {
    type = types.either types.path (types.listOf types.path);
    default = [ ];
    secret = true;
    example = "/run/secrets/cache-network-key";
    description = ''
      File with the key that all nodes of a network share. Without it the network is that of the nodes with the same key in
      `key-file`. While the key is being changed: a list of the new and the old one, until all nodes have both.
    '';
  };
  dht-max-records = {
    type = types.ints.positive;
    default = 100000;
    description = ''
      Most records that are stored for the network, 1 KiB each at most. Small networks need one for every path of all nodes.
    '';
  };
  federation = {
    description = "How other nodes and upstreams are asked for what is not here.";
    keys = {
      lookup-timeout = {
        type = duration;
        default = "400ms";
        description = "How long a reader waits at most for what other nodes and upstreams have.";
      };
    };
  };
}
