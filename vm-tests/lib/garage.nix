# A machine with an S3 service: Garage, with one bucket and one key that may do everything. Takes Garage 2.3 or newer.
{ pkgs, ... }:
{
  networking.firewall.allowedTCPPorts = [ 3900 ];

  environment.etc."garage.toml".text = ''
    metadata_dir = "/var/lib/garage/meta"
    data_dir = "/var/lib/garage/data"
    db_engine = "sqlite"
    replication_factor = 1
    rpc_bind_addr = "127.0.0.1:3901"
    rpc_public_addr = "127.0.0.1:3901"
    rpc_secret = "1111111111111111111111111111111111111111111111111111111111111111"
    [s3_api]
    s3_region = "garage"
    api_bind_addr = "0.0.0.0:3900"
  '';

  systemd.services.garage = {
    description = "S3 service";
    wantedBy = [ "multi-user.target" ];
    after = [ "network.target" ];
    environment = {
      GARAGE_DEFAULT_BUCKET = "cache";
      GARAGE_DEFAULT_ACCESS_KEY = "GK0123456789abcdef01234567";
      GARAGE_DEFAULT_SECRET_KEY = "4a6f1e0c9b8d7253e1f09a4b5c6d7e8f0123456789abcdeffedcba9876543210";
    };
    serviceConfig = {
      ExecStart = "${pkgs.garage_2}/bin/garage -c /etc/garage.toml server --single-node --default-bucket";
      StateDirectory = "garage";
      Restart = "on-failure";
    };
  };
}
