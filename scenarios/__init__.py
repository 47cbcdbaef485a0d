"""The scenarios: one TOML file each."""
