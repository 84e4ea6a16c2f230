"""Settings: types, defaults and checks."""
