"""The software bill of materials: CycloneDX 1.5 as JSON."""

import json
import uuid

from .dependencies import resolve
from .programs import NAMES, TARGET


def component(crate):
    """A crate as CycloneDX describes it. Ours are named, but come from no registry."""
    described = {
        "type": "library",
        "bom-ref": reference(crate),
        "name": crate.name,
        "version": crate.version,
        "licenses": [{"expression": crate.license}],
    }
    if crate.checksum:
        described["purl"] = reference(crate)
        described["hashes"] = [{"alg": "SHA-256", "content": crate.checksum}]
        described["externalReferences"] = [{"type": "vcs", "url": crate.repository}]
    return described


def reference(crate):
    return f"pkg:cargo/{crate.name}@{crate.version}"


def render(release):
    crates, uses = resolve()
    programs = [crate for crate in crates.values() if crate.name in NAMES]
    properties = [{"name": "target", "value": TARGET}]
    if release.commit:
        properties.append({"name": "commit", "value": release.commit})
    product = {
        "type": "application",
        "bom-ref": "cache-server",
        "name": "cache-server",
        "version": release.version,
        "licenses": [{"expression": "MIT"}],
        "properties": properties,
    }
    dependencies = [{"ref": "cache-server", "dependsOn": [reference(crate) for crate in programs]}]
    for identifier, crate in crates.items():
        used = sorted({reference(crates[other]) for other in uses[identifier]})
        dependencies.append({"ref": reference(crate), "dependsOn": used})
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # The same for the same release.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'cache-server {release.version} {release.commit} {TARGET}')}",
        "version": 1,
        "metadata": {"timestamp": release.date("%Y-%m-%dT%H:%M:%SZ"), "component": product},
        "components": [component(crate) for crate in crates.values()],
        "dependencies": dependencies,
    }
    return json.dumps(document, indent=1) + "\n"


def build(release, _programs, _directory, output):
    made = output / f"cache-server_{release.version}.cdx.json"
    made.write_text(render(release))
    return made
