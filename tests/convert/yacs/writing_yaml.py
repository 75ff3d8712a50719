"""The configs of `reference_configs` and `project_configs` as YAML files."""

from pathlib import Path

import yaml
from project_configs import PROJECT_CONFIGS
from reference_configs import CONFIGS

ALL = {**CONFIGS, **PROJECT_CONFIGS}


def write_yaml(name: str, folder: Path) -> Path:
    """Write the YAML file of a config, and those of its bases, into a folder."""
    base, keys = ALL[name]
    path = folder / f"{name.replace('/', '__')}.yaml"
    nested: dict = {}
    calculated = []
    for key, value in keys.items():
        holder = nested
        *above, last = key.split(".")
        for part in above:
            holder = holder.setdefault(part, {})
        if isinstance(value, tuple) and value[0].startswith("!!"):
            calculated.append((key, *value))
            value = f"<{key}>"
        holder[last] = value
    text = yaml.safe_dump(nested, sort_keys=False)
    for key, tag, expression in calculated:
        text = text.replace(f"<{key}>", f"{tag} [{expression!r}]")
    if base is not None:
        text = f"_BASE_: {write_yaml(base, folder).name}\n{text}"
    path.write_text(text)
    return path
