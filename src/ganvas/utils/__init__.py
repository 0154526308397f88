"""Files, devices, memory, signals and images: what everything else stands on."""
