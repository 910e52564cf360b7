# Keys of an entry of `storages`, but for `name`.
{ types }:
{
  type = {
    type = types.enum [
      "local"
      "s3"
    ];
    description = "Kind of the storage. By default `server.default-storage`.";
  };
  root = {
    type = types.str;
    example = "/mnt/ssd";
    description = ''
      A directory; a relative one begins in the state directory. With S3 a prefix in the bucket, which may be left out.
    '';
  };
  split = {
    type = types.ints.between 1 100;
    example = 30;
    description = "Percent of the bytes, with the strategy `split`. All shares together are 100.";
  };
  max-size = {
    type = types.either types.ints.positive types.str;
    example = "500GB";
    description = ''
      Size at which the storage counts as full. A local one is also full when its file system is at 95 %.
    '';
  };
  draining = {
    type = types.bool;
    default = false;
    description = "Still read from, no longer written to.";
  };
  s3_bucket = {
    type = types.str;
    example = "cache-1";
    description = "Name of the bucket.";
  };
  s3_region = {
    type = types.str;
    example = "eu-central-1";
    description = "Region of the bucket. May be left out with `s3_endpoint`.";
  };
  s3_endpoint = {
    type = types.str;
    example = "https://s3.example.org";
    description = "URL of the service. Left out for AWS.";
  };
  s3_force_path_style = {
    type = types.bool;
    description = "Bucket in the path instead of the host name. By default so with `s3_endpoint`, and not for AWS.";
  };
  s3_redirect = {
    type = types.bool;
    default = false;
    description = "Send readers of NARs to the service, by links that expire.";
  };
  s3_access_key_file = {
    type = types.path;
    secret = true;
    example = "/run/secrets/s3-access-key";
    description = "File with the access key id. Without keys those of the environment are used, as by AWS's own tools.";
  };
  s3_secret_key_file = {
    type = types.path;
    secret = true;
    example = "/run/secrets/s3-secret-key";
    description = "File with the secret access key.";
  };
}
