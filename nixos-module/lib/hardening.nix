# What our services are kept from. The tests ask `systemd-analyze security`, which has to say 1.5 at most for the daemon, and 2
# for what the client runs as root.
{
  privateNetwork,
  usesHome ? false,
  # System calls that it needs beyond what every service may do.
  systemCalls ? [ ],
}:
{
  CapabilityBoundingSet = "";
  AmbientCapabilities = "";
  NoNewPrivileges = true;
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  RestrictNamespaces = true;
  RemoveIPC = true;
  UMask = "0027";

  ProtectSystem = "strict";
  ProtectHome = !usesHome;
  PrivateTmp = true;
  PrivateDevices = true;
  DevicePolicy = "closed";
  # Who asks on the admin socket is logged; in a namespace of users they would all be nobody.
  PrivateUsers = false;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProcSubset = "pid";

  SystemCallArchitectures = "native";
  SystemCallFilter = [
    "@system-service"
    "~@privileged"
    "~@resources"
  ]
  ++ systemCalls;

  PrivateNetwork = privateNetwork;
}
// (
  if privateNetwork then
    {
      # Sockets that are handed over work all the same.
      RestrictAddressFamilies = [ "AF_UNIX" ];
      IPAddressDeny = "any";
    }
  else
    {
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
      ];
    }
)
