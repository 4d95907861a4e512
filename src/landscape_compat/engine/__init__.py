"""The shim on an engine: attaching, event hooks, read-only opening, locks."""
