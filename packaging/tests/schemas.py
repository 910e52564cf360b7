"""Checks the compose file and the Kubernetes manifests against their schemas. Takes the Python that test.sh sets up, and gives a
complaint a line."""

import re
import sys
from pathlib import Path

import compose_spec
import kubernetes_validate
import yaml

PACKAGING = Path(__file__).resolve().parent.parent
# The oldest that anyone should still have, and the newest that the schemas know.
VERSIONS = ("1.29", "1.37")


def manifests():
    folder = PACKAGING / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    for name in listed:
        for document in yaml.safe_load_all((folder / name).read_text()):
            yield name, document


def check_kubernetes():
    for name, document in manifests():
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}: {document['kind']} in Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"


def check_compose():
    text = (PACKAGING / "container/compose.yaml").read_text()
    # Compose fills in variables before it looks at the file.
    filled = re.sub(r"\$\{(\w+):\?[^}]*\}", "0.1.0", text)
    try:
        compose = compose_spec.PyCompose.from_yaml(filled)
        compose.validate()
    except Exception as error:  # the binding has no type of its own for them
        return [f"compose.yaml: {error}"]
    # A key that it does not know has to be refused, or all this shows nothing.
    try:
        compose_spec.PyCompose.from_yaml(filled.replace("stop_grace_period", "stop_grace"))
    except Exception:
        return []
    return ["compose.yaml: keys that do not exist are not noticed"]


complaints = [*check_kubernetes(), *check_compose()]
print("\n".join(complaints))
sys.exit(bool(complaints))
