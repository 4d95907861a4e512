"""Where it goes: files that are digested as they are written, and put in their place when whole."""
