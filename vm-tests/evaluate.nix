# The machines of all scenarios, by scenario and node.
{
  lib,
  evaluate,
  files,
}:
lib.mapAttrs (_: scenario: lib.mapAttrs (_: module: files (evaluate [ module ])) scenario.nodes) (
  import ./.
)
